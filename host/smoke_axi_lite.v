// SPDX-License-Identifier: Apache-2.0
// Reads, writes, and reads back a register through AXI4-Lite: enough to see that the array is connected.
module trifactor_smoke;
    localparam ADDRESS_BITS = 20;
    localparam IDENTITY = 32'h54524946;
    localparam SEED = 20;
    reg clk = 0, rst = 1;
    reg [ADDRESS_BITS-1:0] awaddr = 0, araddr = 0;
    reg [31:0] wdata = 0;
    reg awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;

    always #5 clk = !clk;

    trifactor dut (
        .clk(clk), .rst(rst), .resting(),
        .s_axi_awaddr(awaddr), .s_axi_awprot(3'b0), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
        .s_axi_wdata(wdata), .s_axi_wstrb(4'hf), .s_axi_wvalid(wvalid), .s_axi_wready(wready),
        .s_axi_bresp(bresp), .s_axi_bvalid(bvalid), .s_axi_bready(bready),
        .s_axi_araddr(araddr), .s_axi_arprot(3'b0), .s_axi_arvalid(arvalid), .s_axi_arready(arready),
        .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(rready)
    );

    task expect_word(input [ADDRESS_BITS-1:0] address, input [31:0] word);
        begin
            araddr <= address;
            arvalid <= 1;
            rready <= 1;
            @(posedge clk);
            while (!arready) @(posedge clk);
            arvalid <= 0;
            while (!rvalid) @(posedge clk);
            rready <= 0;
            if (rresp !== 0 || rdata !== word) $fatal(1, "%h at %h, not %h", rdata, address, word);
            @(posedge clk);
        end
    endtask

    task write_word(input [ADDRESS_BITS-1:0] address, input [31:0] word);
        begin
            awaddr <= address;
            wdata <= word;
            awvalid <= 1;
            wvalid <= 1;
            bready <= 1;
            @(posedge clk);
            while (!awready || !wready) @(posedge clk);
            awvalid <= 0;
            wvalid <= 0;
            while (!bvalid) @(posedge clk);
            bready <= 0;
            if (bresp !== 0) $fatal(1, "response %d at %h", bresp, address);
            @(posedge clk);
        end
    endtask

    initial begin
        repeat (4) @(posedge clk);
        rst <= 0;
        @(posedge clk);
        expect_word(0, IDENTITY);
        write_word(SEED, 32'hdeadbeef);
        expect_word(SEED, 32'hdeadbeef);
        $display("trifactor answers");
        $finish;
    end

    initial #100000 $fatal(1, "no answer");
endmodule
