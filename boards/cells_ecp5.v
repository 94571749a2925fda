// SPDX-License-Identifier: Apache-2.0
// What a simulation needs of the ECP5 cells of which Yosys has no model, as its own maps (brams_map_16kd.v, dsp_map_18x18.v)
// use them. A parameter with another value than here, or a mode beyond, is refused.

// Port A writes, port B reads, both as wide; outputs are latches without a register. The contents start unknown. An
// asynchronous reset has no model: it must stay low.
// A word read while it is written is undefined in silicon: here it comes inverted.
module DP16KD #(
    parameter DATA_WIDTH_A = 18,
    parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000",
    parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA",
    parameter CLKBMUX = "CLKB",
    parameter GSR = "DISABLED"
) (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    localparam WIDTH = DATA_WIDTH_A;
    // An address always counts the bits of which there are 16384; those of a byte of 9 count as 8.
    localparam DROPPED = WIDTH == 36 ? 5 : WIDTH == 18 ? 4 : WIDTH == 9 ? 3 : WIDTH == 4 ? 2 : WIDTH == 2 ? 1 : 0;
    // Writes have an enable per byte, in the address bits that are free.
    localparam BYTES = WIDTH == 36 ? 4 : WIDTH == 18 ? 2 : 1;
    localparam BYTE = WIDTH > 9 ? 9 : WIDTH;

    generate
        if (DATA_WIDTH_A != DATA_WIDTH_B || REGMODE_A != "NOREG" || REGMODE_B != "NOREG"
            || CSDECODE_A != "0b000" || CSDECODE_B != "0b000" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
            DP16KD_in_a_mode_without_a_model refused();
    endgenerate

    wire [13:0] write_bits = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] read_bits = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [13-DROPPED:0] write_address = write_bits[13:DROPPED];
    wire [13-DROPPED:0] read_address = read_bits[13:DROPPED];
    wire [35:0] data = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
    };
    wire write = WEA && CEA && {CSA2, CSA1, CSA0} == 0;
    wire read = CEB && {CSB2, CSB1, CSB0} == 0;

    reg [WIDTH-1:0] words [0:(1 << (14 - DROPPED)) - 1];
    wire [BYTES-1:0] written = {BYTES{write}} & (BYTES == 1 ? 1'b1 : write_bits[BYTES-1:0]);
    wire [WIDTH-1:0] word;
    reg [17:0] low;
    reg [17:0] high;
    genvar place;
    generate
        for (place = 0; place < BYTES; place = place + 1) begin : bytes
            wire clash = written[place] && write_address == read_address;
            assign word[BYTE*place +: BYTE] = words[read_address][BYTE*place +: BYTE] ^ {BYTE{clash}};
            always @(posedge CLKA)
                if (written[place]) words[write_address][BYTE*place +: BYTE] <= data[BYTE*place +: BYTE];
        end
    endgenerate
    always @(posedge CLKB) begin
        if (RSTB) high <= RESETMODE == "SYNC" ? 18'b0 : 18'bx;
        else if (read) high <= WIDTH == 36 ? word >> 18 : word;
        if (RSTA) low <= RESETMODE == "SYNC" ? 18'b0 : 18'bx;
        else if (read) low <= word;
    end

    // Port A has answers in the widest mode only, the lower half of them. Writes by port B have no model.
    wire [35:0] shown = {WEB ? 18'bx : high, WEB || WIDTH != 36 ? 18'bx : low};
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0,
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
    } = shown;
endmodule

// A product without registers: all of them are parameters that the array leaves alone.
module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire signed [18:0] a = {
        SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire signed [18:0] b = {
        SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };
    wire signed [37:0] product = a * b;
    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = SOURCEA || SOURCEB ? 36'bx : product[35:0];
endmodule
