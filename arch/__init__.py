# SPDX-License-Identifier: Apache-2.0
"""What the golden model and the hardware agree on, as plain data: no torch, no Amaranth."""
