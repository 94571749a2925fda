// SPDX-License-Identifier: Apache-2.0
// A sum of several terms stays a tree of carry chains. Yosys would merge it into carry-save adders of two LUTs a bit;
// a chain takes half a CCU2C a bit, with the gates before it for nothing (carry.py). Sums of single bits stay LUTs.
module \$add (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_WIDTH < 3 || B_WIDTH < 3;
  wire [Y_WIDTH-1:0] propagate, carry;
  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) chain (.A(A), .B(B), .BI(1'b0), .CI(1'b0), .X(propagate), .Y(Y), .CO(carry));
endmodule

module \$sub (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_WIDTH < 3 || B_WIDTH < 3;
  wire [Y_WIDTH-1:0] propagate, carry;
  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) chain (.A(A), .B(B), .BI(1'b1), .CI(1'b1), .X(propagate), .Y(Y), .CO(carry));
endmodule
