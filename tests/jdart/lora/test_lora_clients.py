"""Who reads a converted file: the rules against lists recorded from the programs themselves, and what is printed."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from lora_files import PLACES, written
from random_loras import random_pair

from jdart.cli import main
from jdart.lora.formats import clients
from jdart.lora.formats.clients import readers
from jdart.lora.inspect import shapes_of
from jdart.lora.merge import layer_shapes

RECORDED = json.loads((Path(__file__).parent / "client_layers.json").read_text(encoding="utf-8"))


def convert(*arguments):
    result = CliRunner().invoke(main, ["lora", "convert", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def kind_of(layer):
    return re.sub(r"\.\d+(?=\.|$)", ".N", layer)


@pytest.mark.parametrize("arch", ["sd15", "sd21"])
def test_rules_agree_with_what_the_programs_read_of_every_layer(arch, rng):
    shapes = {n: {name: (2,) * len(s) for name, s in own.items()} for n, own in shapes_of(None, arch).items()}
    pairs = {n: {name: random_pair(rng, s, 1, 1.0) for name, s in own.items()} for n, own in shapes.items()}
    every = {f"{n}.{name}" for n, own in pairs.items() for name in own}
    compared = 0
    for client, formats in RECORDED[arch].items():
        for format, kinds in formats.items():
            (reader,) = (reader for reader in readers(pairs, format, 5) if reader.client == client)
            lost = {
                name
                for loss in reader.losses
                if loss.effect in (clients.UNREAD, clients.REFUSED)
                for name in loss.layers
            }
            assert Counter(map(kind_of, every - lost)) == kinds, (client, format)
            assert reader.reads == sum(kinds.values())
            compared += 1
    assert compared >= 8


def test_the_table_says_who_reads_the_file_and_what_is_lost(base_folder, every_kind, tmp_path):
    source = written(tmp_path, every_kind, "diffusers")
    kohya = convert(source, tmp_path / "x.safetensors", "--to", "kohya")
    assert "who reads x.safetensors" in kohya
    assert re.search(r"ComfyUI.*nothing", kohya)
    assert re.search(r"JDiffusion.*J101", kohya)
    diffusers = convert(source, tmp_path / "d2.safetensors", "--to", "diffusers")
    assert re.search(r"ComfyUI.*C102", diffusers)
    assert "0.6 to 1.33" in re.sub(r"[\s│]+", " ", diffusers)  # alphas 5 at rank 3, 1.5 at rank 2
    bin = convert(source, tmp_path / "x.bin", "--to", "bin")
    assert re.search(r"JDiffusion.*0 of", bin)
    assert "J102" in bin
    assert "J103" in bin


def test_json_holds_the_same_with_every_layer_named(every_kind, tmp_path):
    source = written(tmp_path, every_kind, "kohya")
    report = json.loads(convert(source, tmp_path / "x.bin", "--to", "bin", "--json"))
    by_client = {reader["client"]: reader for reader in report["readers"]}
    refused, unread = by_client["JDiffusion"]["losses"]
    assert (refused["code"], refused["effect"]) == ("J102", "refused")
    assert set(refused["layers"]) == {f"text_encoder.{name}" for name in every_kind["text_encoder"]}
    assert (unread["code"], unread["effect"]) == ("J103", "unread")
    assert set(unread["layers"]) == {f"unet.{name}" for name in every_kind["unet"] if name.endswith("to_out.0")}
    assert by_client["JDiffusion"]["reads"] == 0


def test_jdiffusion_reads_a_bin_of_attention_but_for_to_out(base, make_pairs):
    pairs = {"unet": make_pairs(layer_shapes(base.unet), ("to_q", "to_k", "to_v", "to_out.0"))}
    found = {reader.client: reader for reader in readers(pairs, "bin")}["JDiffusion"]
    assert (found.reads, found.layers) == (24, 32)
    assert [loss.code for loss in found.losses] == ["J103"]


@pytest.mark.parametrize("major", [4, 5])
def test_a_peft_folder_is_for_the_transformers_that_it_was_written_beside(major, every_kind, tmp_path, monkeypatch):
    for module in ("formats.writing", "convert"):
        monkeypatch.setattr(f"jdart.lora.{module}.transformers_major", lambda: major)
    source = written(tmp_path, every_kind, "diffusers")
    report = json.loads(convert(source, tmp_path / PLACES["peft"], "--to", "peft", "--json"))
    names = ("PEFT, transformers 4", "PEFT, transformers 5")
    four, five = ({r["client"]: r for r in report["readers"]}[name] for name in names)
    assert (four["reads"] == four["layers"]) == (major == 4)
    assert (five["reads"] == five["layers"]) == (major == 5)
    from safetensors.numpy import load_file

    tensors = load_file(tmp_path / PLACES["peft"] / "text_encoder" / "adapter_model.safetensors")
    assert all(("text_model." in name) == (major == 4) for name in tensors)


def test_codes_are_not_used_twice():
    codes = [rule.code for rule in clients.RULES]
    assert len(codes) == len(set(codes))
    assert {rule.client for rule in clients.RULES} <= {*clients.CLIENTS, *clients.PEFT_CLIENTS}
