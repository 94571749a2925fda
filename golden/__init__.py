# SPDX-License-Identifier: Apache-2.0
"""The law in integer torch tensors, bit for bit; float references; encoders, data, training. Never imports Amaranth."""
