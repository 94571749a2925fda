# SPDX-License-Identifier: Apache-2.0
"""The array in Amaranth: lanes, neurons, learning, sequencer. Never imports torch or the golden model."""
