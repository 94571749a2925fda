// SPDX-License-Identifier: Apache-2.0
// Stands between Python and the array: Python writes and reads whole bursts through wide ports and sleeps until
// `attention` toggles, so that it runs once per time step and not once per clock.
//
// A burst starts when its `_go` differs from its `_done`, and has ended when they are equal again. With `stall_seed`
// other than 0 every stream has random gaps in valid and ready, a function of the seed alone. `broken` says which rule of
// the streams the array broke.
`default_nettype none

module harness #(
    parameter BURST = 128,        // 32-bit slots of a burst
    parameter CLASSES = 64,       // 64-bit slots for results
    parameter EVENT_BITS = 19,
    parameter RESULT_BITS = 33
) (
    input wire clk,
    input wire rst,
    input wire [31:0] stall_seed,
    input wire [31:0] limit,      // most cycles of a burst

    input wire item_go,
    input wire item_settle,       // done only when the array waits and has sent all it had to send
    input wire [31:0] item_count,
    input wire [32*BURST-1:0] item_words,
    output reg item_done,

    input wire request_go,
    input wire request_write,
    input wire [27:0] request_address,
    input wire [31:0] request_count,
    input wire [7:0] request_run,     // after so many addresses in a row ...
    input wire [7:0] request_skip,    // ... so many are left out
    input wire [32*BURST-1:0] request_words,
    output reg request_done,
    output reg [32*BURST-1:0] response_words,

    input wire event_take,        // a change empties the buffer
    output reg [31:0] event_count,
    output reg [32*BURST-1:0] event_words,

    input wire result_take,       // a change empties the buffer
    output reg [31:0] result_count,
    output reg [64*CLASSES-1:0] result_words,

    input wire [3:0] dump,        // a change of a bit writes a memory to files: backdoor.py
    output wire [3:0] dumpable,

    output reg item_timed_out,    // whether the last burst reached `limit`
    output reg request_timed_out,
    output reg [3:0] broken,      // payload or valid not held: responses, events, results; unknown handshake
    output reg attention,
    output reg [31:0] cycle
);
    localparam SETTLE = 8;

    wire items_ready, requests_ready, responses_valid, events_valid, results_valid, waiting;
    wire [31:0] responses_payload;
    wire [EVENT_BITS-1:0] events_payload;
    wire [RESULT_BITS-1:0] results_payload;
    reg event_taken, result_taken;

    // Gaps: xorshift noise, and one of four densities per stream that changes every 64 cycles.
    reg [31:0] noise, density;
    reg [5:0] window;
    wire [31:0] noise_a = noise ^ (noise << 13);
    wire [31:0] noise_b = noise_a ^ (noise_a >> 17);
    wire [31:0] noise_c = noise_b ^ (noise_b << 5);
    wire [4:0] open;
    genvar k;
    generate
        for (k = 0; k < 5; k = k + 1) begin : gaps
            assign open[k] = stall_seed == 0
                || (noise[4*k +: 3] & {&density[2*k +: 2], density[2*k+1], |density[2*k +: 2]}) == 0;
        end
    endgenerate

    // Items.
    reg [31:0] item_sent;
    reg item_hold;
    reg [7:0] settled;
    wire item_busy = item_go != item_done;
    wire items_valid = item_busy && item_sent != item_count && (item_hold || open[0]);
    wire item_end = item_sent == item_count && (!item_settle || settled == SETTLE);

    // Requests and their responses.
    reg [31:0] request_sent, response_count;
    reg [27:0] request_extra;
    reg [7:0] request_in_run;
    reg request_hold;
    wire request_busy = request_go != request_done;
    wire requests_valid = request_busy && request_sent != request_count && (request_hold || open[1]);
    wire [27:0] address = request_address + request_sent[27:0] + request_extra;
    wire request_end = request_sent == request_count && (request_write || response_count == request_count);
    wire responses_ready = open[2];

    // Events and results.
    wire events_ready = open[3] && event_count != BURST && event_take == event_taken;
    wire results_ready = open[4] && result_count != CLASSES && result_take == result_taken;

    // Watchdog, and the rules of the array's own streams.
    reg [31:0] item_elapsed, request_elapsed;
    wire item_over = item_busy && (item_end || item_elapsed == limit);
    wire request_over = request_busy && (request_end || request_elapsed == limit);
    reg [2:0] held;
    reg [31:0] response_held;
    reg [EVENT_BITS-1:0] event_held;
    reg [RESULT_BITS-1:0] result_held;
    reg alert;

    array dut (
        .clk(clk),
        .rst(rst),
        .items__payload(item_words[32*item_sent +: 21]),
        .items__valid(items_valid),
        .items__ready(items_ready),
        .requests__payload({request_write, address, request_words[32*request_sent +: 32]}),
        .requests__valid(requests_valid),
        .requests__ready(requests_ready),
        .responses__payload(responses_payload),
        .responses__valid(responses_valid),
        .responses__ready(responses_ready),
        .events__payload(events_payload),
        .events__valid(events_valid),
        .events__ready(events_ready),
        .results__payload(results_payload),
        .results__valid(results_valid),
        .results__ready(results_ready),
        .waiting(waiting)
    );

    reg [3:0] dumped;
`include "backdoor.vh"

    always @(posedge clk) begin
        cycle <= cycle + 1;
        window <= window + 1;
        noise <= stall_seed == 0 ? 0 : noise == 0 ? stall_seed : noise_c;
        if (window == 0) density <= noise;

        item_hold <= items_valid && !items_ready;
        if (items_valid && items_ready) item_sent <= item_sent + 1;
        if (!item_busy || item_sent != item_count || !waiting || events_valid || results_valid) settled <= 0;
        else if (settled != SETTLE) settled <= settled + 1;
        item_elapsed <= item_busy ? item_elapsed + 1 : 0;
        // All is ready for the next burst as this one ends: Python, awake for another reason, may start it at once.
        if (item_over) begin
            item_done <= item_go;
            item_timed_out <= !item_end;
            {item_sent, settled, item_elapsed} <= 0;
        end

        request_hold <= requests_valid && !requests_ready;
        if (requests_valid && requests_ready) begin
            request_sent <= request_sent + 1;
            if (request_in_run + 1 == request_run) begin
                request_in_run <= 0;
                request_extra <= request_extra + {20'd0, request_skip};
            end else request_in_run <= request_in_run + 1;
        end
        if (responses_valid && responses_ready) begin
            response_count <= response_count + 1;
            response_words[32*response_count +: 32] <= responses_payload;
        end
        request_elapsed <= request_busy ? request_elapsed + 1 : 0;
        if (request_over) begin
            request_done <= request_go;
            request_timed_out <= !request_end;
            {request_sent, request_extra, request_in_run, response_count, request_elapsed} <= 0;
        end

        event_taken <= event_take;
        if (event_take != event_taken) event_count <= 0;
        else if (events_valid && events_ready) begin
            event_count <= event_count + 1;
            event_words[32*event_count +: 32] <= {{(32 - EVENT_BITS){1'b0}}, events_payload};
        end
        result_taken <= result_take;
        if (result_take != result_taken) result_count <= 0;
        else if (results_valid && results_ready) begin
            result_count <= result_count + 1;
            result_words[64*result_count +: 64] <= {{(64 - RESULT_BITS){1'b0}}, results_payload};
        end

        held <= {results_valid && !results_ready, events_valid && !events_ready, responses_valid && !responses_ready};
        response_held <= responses_payload;
        event_held <= events_payload;
        result_held <= results_payload;
        if (held[0] && !(responses_valid && responses_payload == response_held)) broken[0] <= 1;
        if (held[1] && !(events_valid && events_payload == event_held)) broken[1] <= 1;
        if (held[2] && !(results_valid && results_payload == result_held)) broken[2] <= 1;
        if ((^{items_ready, requests_ready, responses_valid, events_valid, results_valid, waiting}) === 1'bx)
            broken[3] <= 1;

        // One cycle late: a simulator that runs Python in the middle of an edge shows it settled values.
        alert <= item_over || request_over || (events_valid && events_ready && event_count == BURST - 1)
            || (results_valid && results_ready && result_count == CLASSES - 1);
        if (alert) attention <= !attention;

        if (rst) begin
            item_done <= item_go;
            request_done <= request_go;
            event_taken <= event_take;
            result_taken <= result_take;
            {item_sent, item_hold, settled, item_elapsed, item_timed_out} <= 0;
            {request_sent, request_extra, request_in_run, response_count, request_hold} <= 0;
            {request_elapsed, request_timed_out} <= 0;
            {event_count, result_count, held, alert, broken} <= 0;
            {cycle, window, noise, density, attention} <= 0;
        end
    end
endmodule

`default_nettype wire
