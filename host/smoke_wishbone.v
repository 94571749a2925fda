// SPDX-License-Identifier: Apache-2.0
// Reads, writes, and reads back a register through Wishbone: enough to see that the array is connected.
module trifactor_smoke;
    localparam ADDRESS_BITS = 20;
    localparam IDENTITY = 32'h54524946;
    localparam SEED = 20;
    reg clk = 0, rst = 1, cyc = 0, we = 0;
    reg [ADDRESS_BITS-1:0] adr = 0;
    reg [31:0] dat_w = 0;
    wire [31:0] dat_r;
    wire ack, err;

    always #5 clk = !clk;

    trifactor dut (
        .clk(clk), .rst(rst), .resting(),
        .wb_cyc(cyc), .wb_stb(cyc), .wb_we(we), .wb_adr(adr), .wb_sel(4'hf),
        .wb_dat_w(dat_w), .wb_dat_r(dat_r), .wb_ack(ack), .wb_err(err)
    );

    task cycle(input [ADDRESS_BITS-1:0] address, input write, input [31:0] word);
        begin
            adr <= address;
            we <= write;
            dat_w <= word;
            cyc <= 1;
            @(posedge clk);
            while (!ack && !err) @(posedge clk);
            cyc <= 0;
            if (err || !write && dat_r !== word) $fatal(1, "%h at %h, not %h", dat_r, address, word);
            @(posedge clk);
        end
    endtask

    initial begin
        repeat (4) @(posedge clk);
        rst <= 0;
        @(posedge clk);
        cycle(0, 0, IDENTITY);
        cycle(SEED, 1, 32'hdeadbeef);
        cycle(SEED, 0, 32'hdeadbeef);
        $display("trifactor answers");
        $finish;
    end

    initial #100000 $fatal(1, "no answer");
endmodule
