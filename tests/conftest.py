# SPDX-License-Identifier: Apache-2.0
"""Hypothesis without a clock: a busy machine must not fail a test. Failures print how to replay them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("trifactor", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trifactor")
