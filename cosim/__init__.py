# SPDX-License-Identifier: Apache-2.0
"""Hardware against golden model: simulator builds, drivers, benches, comparison."""
