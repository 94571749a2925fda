# SPDX-License-Identifier: Apache-2.0
"""What a rule must remember of a sample while it learns it: what the published claims of O(n) memory are about."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ...arch.rules import Rule
from . import law, neuron
from .network import Shape, float_network
from .weights import fixed_matrices, initial_weights


def training_memory(
    rule: str | Rule, shape: Shape, steps: int, *, batch: int = 1, dtype: torch.dtype = torch.float32
) -> int:
    """Bytes that `rule` keeps between the first and the last of `steps` steps of one batch, measured, not computed.

    They are the largest state carried from one step to the next (membranes, currents, traces) and, of rules through
    time, all that autograd saved for its way back, each tensor once: linear in `steps`. Weights, their gradients and
    the optimiser's state are left out: every rule may need them, and they do not grow with time.
    """
    network = float_network(rule, shape)
    inputs = torch.bernoulli(torch.full((batch, steps, shape.sizes[0]), 0.5, dtype=dtype))
    labels = torch.zeros(batch, dtype=torch.int64)
    target = torch.nn.functional.one_hot(labels, network.layers[-1].outputs).to(dtype)
    weights = [torch.as_tensor(weight, dtype=dtype) for weight in initial_weights(network, seed=0)]
    fixed = [torch.as_tensor(matrix, dtype=dtype) for matrix in fixed_matrices(network, seed=0)]
    if network.rule.backward == "step":
        states = law.first_states(network, inputs)
        carried = []
        for x in inputs.unbind(1):
            states, _ = law.step(network, weights, states, x, target, fixed=fixed, share=1.0)
            carried.append(_bytes(tensor for state in states for part in state for tensor in part))
        return max(carried)
    leaves = [weight.requires_grad_() for weight in weights]
    owned = {leaf.untyped_storage().data_ptr() for leaf in leaves}
    saved: dict[tuple[int, torch.Size], Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in owned:
            saved[tensor.data_ptr(), tensor.shape] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = neuron.forward(network, leaves, inputs)
        network.loss.value(outputs.readout, labels)
    return _bytes(saved.values())


def _bytes(parts: Iterable[object]) -> int:
    """Bytes of the tensors among `parts`."""
    return sum(part.numel() * part.element_size() for part in parts if isinstance(part, Tensor))
