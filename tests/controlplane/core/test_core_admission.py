"""Which adapter files may go near a server, and the words for each that may not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.core import admission, errors
from controlplane.core.admission import Files, Server, Tensor

MODULE = "model.layers.0.self_attn.q_proj"
A, B = f"base_model.model.{MODULE}.lora_A.weight", f"base_model.model.{MODULE}.lora_B.weight"
CONFIG = {"peft_type": "LORA", "r": 4, "bias": "none", "target_modules": ["q_proj"], "base_model_name_or_path": "/models/smol"}
GOOD = Files(CONFIG, {A: Tensor((4, 8), True), B: Tensor((16, 4), True)}, 1000)
SERVER = Server(("/elsewhere/smol", "smol"), 8, 2000, {MODULE: (16, 8)})


def config(**changes: object) -> Files:
    return replace(GOOD, config={**CONFIG, **changes})


def test_a_fitting_adapter_is_admitted() -> None:
    assert admission.refusals(GOOD, SERVER) == []
    admission.require(GOOD, SERVER, "m v1")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (config(peft_type="IA3"), "peft_type is 'IA3'"),
        (config(bias="all"), "bias is 'all'"),
        (config(use_dora=True), "use_dora is set"),
        (config(modules_to_save=["lm_head"]), "modules_to_save is set"),
        (config(r=16), "rank 16 is above the server's maximum 8"),
        (config(r="4"), "r is '4', not a rank"),
        (config(r=0), "r is 0"),
        (config(base_model_name_or_path="/models/other"), "trained for /models/other, the server serves /elsewhere/smol"),
        (config(base_model_name_or_path=None), "trained for an unnamed model"),
        (config(target_modules=["q_proj", "v_proj"]), "no weights for the target module 'v_proj'"),
        (replace(GOOD, size_bytes=3000), "3,000 bytes are above the limit 2,000"),
        (replace(GOOD, tensors={}), "it holds no tensor"),
        (replace(GOOD, tensors={**GOOD.tensors, A: Tensor((4, 8), False)}), f"{A} holds NaN or Inf"),
        (replace(GOOD, tensors={**GOOD.tensors, "lm_head.weight": Tensor((1,), True)}), "lm_head.weight is no LoRA weight"),
        (replace(GOOD, tensors={A: Tensor((4, 9), True), B: Tensor((16, 4), True)}), "does not fit the layer's [16, 8]"),
        (replace(GOOD, tensors={A: Tensor((4, 8), True), B: Tensor((15, 4), True)}), "does not fit the layer's [16, 8]"),
        (
            replace(GOOD, tensors={**GOOD.tensors, A.replace("layers.0", "layers.9"): Tensor((4, 8), True)}),
            "no layer model.layers.9.self_attn.q_proj",
        ),
    ],
)
def test_each_fault_is_named(files: Files, said: str) -> None:
    (reason,) = admission.refusals(files, SERVER)
    assert said in reason
    with pytest.raises(errors.Refused, match="m v1 is not admitted"):
        admission.require(files, SERVER, "m v1")


def test_every_fault_is_told_at_once() -> None:
    assert len(admission.refusals(replace(config(bias="all", r=99), size_bytes=9999), SERVER)) == 3


def test_what_is_not_known_of_the_server_is_not_held_against_the_adapter() -> None:
    assert admission.refusals(config(base_model_name_or_path="/models/other"), Server()) == []


def test_a_pattern_of_target_modules_cannot_be_checked() -> None:
    assert admission.refusals(config(target_modules=".*_proj"), SERVER) == []
