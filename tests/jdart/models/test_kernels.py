"""The compiled kernels against torch: values and every gradient, at shapes that fill no block."""

import ctypes

import jittor as jt
import numpy as np
import pytest
import torch

from jdart.models.kernels import functions as kernels
from jdart.models.kernels.convolutions import Columns, Pointwise, Winograd
from jdart.models.kernels.native import serves
from jdart.models.networks.layers import GroupNorm, Linear, attention

F = torch.nn.functional


def both(ours, theirs, close, *arrays, limit=1e-5):
    """Run the same function of the same arrays in jittor and torch; compare the result and all gradients."""
    mine = [jt.array(x) for x in arrays]
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, expected = ours(*mine), theirs(*leaves)
    slope = np.random.default_rng(9).standard_normal(tuple(expected.shape)).astype(np.float32)
    assert close(y.numpy(), expected.detach().numpy()) < limit
    gradients = jt.grad((y * jt.array(slope)).sum(), mine)
    expected.backward(torch.tensor(slope))
    for gradient, leaf in zip(gradients, leaves):
        assert close(gradient.numpy(), leaf.grad.numpy()) < limit


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def frozen(x):
    return jt.array(x).stop_grad()


@pytest.mark.parametrize(
    ("batch", "queries", "keys", "heads", "depth"),
    [(2, 5, 7, 3, 4), (1, 130, 77, 2, 16), (2, 70, 1030, 1, 5), (1, 700, 1030, 3, 20)],
)
def test_attention_is_torchs(rng, close, batch, queries, keys, heads, depth):
    def theirs(q, k, v):
        q, k, v = (x.unflatten(-1, (heads, depth)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    width = heads * depth
    q, k, v = (3 * normal(rng, batch, size, width) for size in (queries, keys, keys))
    both(lambda q, k, v: kernels.Attention()(q, k, v, heads, None), theirs, close, q, k, v)


def test_masked_attention_is_torchs(rng, close):
    mask = np.triu(np.full((75, 75), -1e9, np.float32), 1)

    def theirs(q, k, v):
        q, k, v = (x.unflatten(-1, (2, 8)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.tensor(mask)).transpose(1, 2).flatten(2)

    arrays = [normal(rng, 2, 75, 16) for _ in range(3)]
    both(lambda q, k, v: kernels.Attention()(q, k, v, 2, frozen(mask)), theirs, close, *arrays)


def test_attention_survives_large_logits(rng, close):
    q, k, v = 40 * normal(rng, 1, 9, 8), 40 * normal(rng, 1, 11, 8), normal(rng, 1, 11, 8)
    expected = F.scaled_dot_product_attention(*(torch.tensor(x) for x in (q, k, v)))
    assert close(kernels.Attention()(jt.array(q), jt.array(k), jt.array(v), 1, None).numpy(), expected.numpy()) < 1e-4


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize(("shape", "groups"), [((2, 6, 5, 7), 3), ((1, 4, 70, 70), 2), ((3, 8, 1), 8)])
def test_group_norm_is_torchs(rng, close, shape, groups, silu):
    gain, offset = normal(rng, shape[1]), normal(rng, shape[1])
    eps = 0.1 if np.prod(shape[1:]) == groups else 1e-5  # alone in its group a value is its own mean

    def theirs(x):
        y = F.group_norm(x, groups, torch.tensor(gain), torch.tensor(offset), eps)
        return F.silu(y) if silu else y

    def ours(x):
        return kernels.GroupNorm()(x, frozen(gain), frozen(offset), groups, eps, silu)

    if np.prod(shape[1:]) > groups:
        both(ours, theirs, close, normal(rng, *shape), limit=2e-5)
    else:
        x = normal(rng, *shape)
        assert close(ours(jt.array(x)).numpy(), theirs(torch.tensor(x)).numpy()) < 1e-6


@pytest.mark.parametrize("width", [1, 5, 48])
def test_layer_norm_is_torchs(rng, close, width):
    gain, offset = normal(rng, width), normal(rng, width)
    x = normal(rng, 2, 9, width)
    if width == 1:
        y = kernels.LayerNorm()(jt.array(x), frozen(gain), frozen(offset), 1e-5)
        assert close(y.numpy(), np.broadcast_to(offset, x.shape)) < 1e-6
        return
    both(
        lambda x: kernels.LayerNorm()(x, frozen(gain), frozen(offset), 1e-5),
        lambda x: F.layer_norm(x, (width,), torch.tensor(gain), torch.tensor(offset)),
        close,
        x,
        limit=2e-5,
    )


def test_norms_keep_their_precision_when_the_mean_is_large(rng, close):
    x = 1000 + normal(rng, 2, 6, 9, 9)
    one, zero = np.ones(6, np.float32), np.zeros(6, np.float32)
    exact = torch.tensor(x, dtype=torch.float64)
    y = kernels.GroupNorm()(jt.array(x), frozen(one), frozen(zero), 2, 1e-5, False)
    assert close(y.numpy(), F.group_norm(exact, 2).numpy()) < 2e-4
    rows = x.reshape(-1, 9)
    y = kernels.LayerNorm()(jt.array(rows), frozen(np.ones(9, np.float32)), frozen(np.zeros(9, np.float32)), 1e-5)
    assert close(y.numpy(), F.layer_norm(exact.reshape(-1, 9), (9,)).numpy()) < 2e-4


@pytest.mark.parametrize(("shape", "out"), [((3,), 5), ((2, 70, 9), 130), ((65, 1), 1)])
def test_linear_is_torchs(rng, close, shape, out):
    x, weight, bias = normal(rng, *shape), normal(rng, out, shape[-1]), normal(rng, out)
    ours = kernels.Linear()
    both(lambda x, w: ours(x, w, frozen(bias)), lambda x, w: F.linear(x, w, torch.tensor(bias)), close, x, weight)
    both(lambda x, w: ours(x, w, None), F.linear, close, x, weight)
    both(lambda x: ours(x, frozen(weight), None), lambda x: F.linear(x, torch.tensor(weight)), close, x)


def test_a_trained_bias_gets_its_gradient(rng, close):
    layer, x = Linear(3, 4), normal(rng, 5, 3)
    (gradient,) = jt.grad((layer(jt.array(x)) ** 2).sum(), [layer.bias])
    assert close(gradient.numpy(), 2 * layer(jt.array(x)).numpy().sum(axis=0)) < 1e-5


def test_no_kernel_depends_on_the_number_of_threads(rng):
    threads = ctypes.CDLL("libgomp.so.1")
    q, k, v, x, w = (
        normal(rng, *shape) for shape in [(1, 300, 64), (1, 500, 64), (1, 500, 64), (77, 1280), (90, 1280)]
    )

    def numbers(count):
        threads.omp_set_num_threads(count)
        query, keys, values, rows, weight = (jt.array(array) for array in (q, k, v, x, w))
        shifted = kernels.LayerNorm()(rows, frozen(np.ones(1280, np.float32)), frozen(np.zeros(1280, np.float32)), 1e-5)
        parts = [kernels.Attention()(query, keys, values, 2, None), kernels.Linear()(shifted, weight, None)]
        loss = sum((part * part).sum() for part in parts)
        found = [*parts, *jt.grad(loss, [query, keys, values, rows, weight])]
        return [part.numpy() for part in found]

    before = threads.omp_get_max_threads()
    try:
        one, three = numbers(1), numbers(3)
    finally:
        threads.omp_set_num_threads(before)
    assert all((a == b).all() for a, b in zip(one, three))


@pytest.mark.parametrize("width", [1, 7, 33])
def test_geglu_is_torchs(rng, close, width):
    def theirs(x):
        value, gate = x.chunk(2, dim=-1)
        return value * F.gelu(gate)

    both(kernels.GEGLU(), theirs, close, 3 * normal(rng, 2, 5, 2 * width))


def test_a_trained_norm_gets_gradients_of_its_own(rng, close):
    layer, x = GroupNorm(2, 4, 1e-5), normal(rng, 2, 4, 3, 3)
    reference = torch.nn.GroupNorm(2, 4)
    gradients = jt.grad((layer(jt.array(x), silu=True) ** 2).sum(), [layer.weight, layer.bias])
    (F.silu(reference(torch.tensor(x))) ** 2).sum().backward()
    for gradient, parameter in zip(gradients, (reference.weight, reference.bias)):
        assert close(gradient.numpy(), parameter.grad.numpy()) < 1e-5


def test_the_graph_gives_the_kernels_numbers(rng, close, monkeypatch):
    q, k, v = (jt.array(normal(rng, 2, 6, 8)) for _ in range(3))
    fast = attention(q, k, v, 2).numpy()
    monkeypatch.setattr("jdart.models.networks.layers.serves", lambda *inputs: False)
    assert close(attention(q, k, v, 2).numpy(), fast) < 1e-6


def test_kernels_serve_float32_on_the_cpu_alone(monkeypatch):
    x = jt.ones((2,))
    assert serves(x) and not serves(x.float16())
    monkeypatch.setattr(jt.compile_extern, "use_mkl", False)
    assert not serves(x)


SHAPES = [  # batch, channels, outputs, height, width: one pixel; nothing whole; more than a block, a cache, a part
    (1, 1, 1, 1, 1),
    (2, 5, 7, 9, 6),
    (1, 40, 33, 17, 30),
    (2, 32, 40, 40, 44),
    (1, 600, 20, 8, 12),
]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kernel", "side", "padding"), [(Winograd, 3, 1), (Pointwise, 1, 0)])
def test_convolutions_are_torchs(rng, close, kernel, side, padding, shape, trained):
    batch, ins, outs, height, width = shape
    x, weight, bias = normal(rng, batch, ins, height, width), normal(rng, outs, ins, side, side), normal(rng, outs)

    def ours(x, w):
        return kernel()(x, w, frozen(bias))

    def theirs(x, w):
        return F.conv2d(x, w, torch.tensor(bias), padding=padding)

    if trained:
        both(ours, theirs, close, x, weight)
    else:
        both(lambda x: ours(x, frozen(weight)), lambda x: theirs(x, torch.tensor(weight)), close, x)


@pytest.mark.parametrize("room", [1 << 20, 0])
@pytest.mark.parametrize(("size", "stride", "padding"), [((3, 3), (2, 2), (1, 1)), ((2, 5), (1, 3), (0, 2))])
def test_any_other_convolution_is_torchs(rng, close, monkeypatch, room, size, stride, padding):
    monkeypatch.setattr("jdart.models.kernels.convolutions.ROOM", room)  # columns of all pixels at once, or of a few
    x, weight, bias = normal(rng, 2, 20, 33, 29), normal(rng, 9, 20, *size), normal(rng, 9)
    both(
        lambda x, w: Columns()(x, w, frozen(bias), stride, padding, (1, 1)),
        lambda x, w: F.conv2d(x, w, torch.tensor(bias), stride, padding),
        close,
        x,
        weight,
    )


def test_weights_that_are_made_where_they_are_used_give_the_same(rng, monkeypatch):
    x, weight = jt.array(normal(rng, 3, 40, 40, 24)), frozen(normal(rng, 50, 40, 3, 3))
    kept = Winograd()(x, weight, None).numpy()
    monkeypatch.setattr("jdart.models.kernels.convolutions.KEPT", 0)
    assert np.array_equal(Winograd()(x, weight, None).numpy(), kept)


def test_a_picture_is_convolved_alike_with_others(rng):
    x, weight = normal(rng, 7, 24, 20, 20), frozen(normal(rng, 30, 24, 3, 3))
    together = Winograd()(jt.array(x), weight, None).numpy()
    alone = Winograd()(jt.array(x[5:6]), weight, None).numpy()
    assert np.array_equal(together[5:6], alone)


@pytest.mark.parametrize("rows", [3, 16, 300])
@pytest.mark.parametrize(("deep", "columns"), [(33, 40), (1100, 31)])
def test_linear_of_few_and_many_rows_is_torchs(rng, close, rows, deep, columns):
    x, weight, bias = normal(rng, rows, deep), normal(rng, columns, deep), normal(rng, columns)
    both(
        lambda x, w: kernels.Linear()(x, w, frozen(bias)),
        lambda x, w: F.linear(x, w, torch.tensor(bias)),
        close,
        x,
        weight,
    )


def test_a_row_is_multiplied_alike_with_others(rng):
    x, weight, bias = normal(rng, 300, 700), frozen(normal(rng, 45, 700)), frozen(normal(rng, 45))
    together = kernels.Linear()(jt.array(x), weight, bias).numpy()
    for rows in (slice(0, 1), slice(40, 57), slice(7, 290)):
        assert np.array_equal(kernels.Linear()(jt.array(x[rows]), weight, bias).numpy(), together[rows])


@pytest.mark.parametrize(("high", "wide"), [(5, 7), (64, 24), (19, 33)])
def test_turned_is_the_transpose(rng, close, high, wide):
    both(kernels.Turn(), lambda x: x.transpose(1, 2), close, normal(rng, 3, high, wide))


def test_enlarged_is_torchs(rng, close):
    both(kernels.Enlarge(), lambda x: F.interpolate(x, scale_factor=2), close, normal(rng, 2, 3, 5, 7))
