// SPDX-License-Identifier: Apache-2.0
// Asks the array who it is: enough to see that it is connected.
module trifactor_smoke;
    localparam IDENTITY = 32'h54524946;
    reg clk = 0, rst = 1, asked = 0;
    wire requests_ready, responses_valid;
    wire [31:0] word;

    always #5 clk = !clk;

    trifactor dut (
        .clk(clk), .rst(rst),
        .items_valid(1'b0), .items_payload(21'b0), .items_ready(),
        .requests_valid(!rst && !asked), .requests_payload(61'b0), .requests_ready(requests_ready),
        .responses_valid(responses_valid), .responses_payload(word), .responses_ready(1'b1),
        .events_valid(), .events_payload(), .events_ready(1'b1),
        .results_valid(), .results_payload(), .results_ready(1'b1),
        .waiting()
    );

    always @(posedge clk) begin
        if (!rst && requests_ready) asked <= 1;
        if (responses_valid) begin
            if (word !== IDENTITY) $fatal(1, "identity is %h", word);
            $display("trifactor answers");
            $finish;
        end
    end

    initial begin
        #100 rst = 0;
        #10000 $fatal(1, "no answer");
    end
endmodule
