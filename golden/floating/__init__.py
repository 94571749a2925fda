# SPDX-License-Identifier: Apache-2.0
"""The learning rules in floating point, batched: what the array's integers are compared with, under the same names."""
