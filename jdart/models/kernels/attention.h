// Scaled dot-product attention without transposes and without keeping the (N, M) weights: a block of queries of one head at
// a time. The backward pass computes the weights again from the log-sum-exp of each row (Dao et al., 2205.14135).
#pragma once

namespace jdart {

constexpr Size FEW = 1 << 17, MANY = 1 << 18;  // weights at a time, in the cache of one core or of all

struct Shape {
    Size batch, queries, keys, width, heads, depth;
    Size groups, line, sides;  // groups of WIDE keys, a row of weights filled up to them, groups of WIDE numbers of a value
    Size block;                // queries at a time: their weights stay in the cache
    float scale;

    Shape(jittor::Var* q, jittor::Var* k, Size heads, Size at_once)
        : batch(q->shape[0]), queries(q->shape[1]), keys(k->shape[1]), width(q->shape[2]), heads(heads),
          depth(width / heads), groups((keys + WIDE - 1) / WIDE), line(groups * WIDE), sides((depth + WIDE - 1) / WIDE),
          block(ROWS * std::max<Size>(4, std::min<Size>(40, at_once / line / ROWS))), scale(1 / std::sqrt(float(depth))) {}

    Size blocks() const { return (queries + block - 1) / block; }
    Size of_keys(Size b, Size h) const { return b * keys * width + h * depth; }
    Size of_queries(Size b, Size h, Size first) const { return (b * queries + first) * width + h * depth; }
};

// The keys of every head, or what is looked at as they are, with WIDE of them side by side: (batch * heads, groups, depth, WIDE)
inline void pack_keys(const Shape& s, const float* keys, float* packed) {
#pragma omp parallel for collapse(2)
    for (Size head = 0; head < s.batch * s.heads; head++)
        for (Size group = 0; group < s.groups; group++)
            pack('T', keys + s.of_keys(head / s.heads, head % s.heads) + group * WIDE * s.width, s.width, s.depth,
                 std::min(WIDE, s.keys - group * WIDE), packed + (head * s.groups + group) * s.depth * WIDE);
}

// The values of every head with WIDE of their numbers side by side: (batch * heads, sides, keys, WIDE)
inline void pack_values(const Shape& s, const float* values, float* packed) {
#pragma omp parallel for collapse(2)
    for (Size head = 0; head < s.batch * s.heads; head++)
        for (Size side = 0; side < s.sides; side++)
            pack('N', values + s.of_keys(head / s.heads, head % s.heads) + side * WIDE, s.width, s.keys,
                 std::min(WIDE, s.depth - side * WIDE), packed + (head * s.sides + side) * s.keys * WIDE);
}

// x (rows, line) = rows of q times the packed keys of a head
inline void look(const Shape& s, const float* q, Size rows, const float* keys, float* x) {
    for (Size group = 0; group < s.groups; group++)
        multiply(rows, q, s.width, keys + group * s.depth * WIDE, s.depth, NOTHING, x + group * WIDE, s.line);
}

// out (rows, depth) = weights (rows, line) times the packed values of a head
inline void gather(const Shape& s, const float* weights, Size rows, const float* values, float* out) {
    for (Size k = 0; k < s.keys; k += DEEP)
        for (Size side = 0; side < s.sides; side++)
            multiply(rows, weights + k, s.line, values + (side * s.keys + k) * WIDE, std::min(DEEP, s.keys - k),
                     k ? nullptr : NOTHING, out + side * WIDE, s.width, std::min(WIDE, s.depth - side * WIDE));
}

// out (keys, depth), or what is added to it, = weights (rows, line) transposed times x (rows, depth); `side` (rows, WIDE)
inline void spread(const Shape& s, const float* weights, Size rows, const float* x, float* side, float* out, bool begun) {
    for (Size first = 0; first < s.depth; first += WIDE) {
        const Size many = std::min(WIDE, s.depth - first);
        pack('N', x + first, s.width, rows, many, side);
        multiply<true>(s.keys, weights, s.line, side, rows, begun ? nullptr : NOTHING, out + first, s.width, many);
    }
}

// e^x of numbers of at most 0, right to about 2e-7 of it
inline Lanes exponential(Lanes x) {
    typedef int Whole __attribute__((vector_size(sizeof(Lanes))));
    const Lanes least = Lanes{} - 87.0f;
    x = x < least ? least : x;
    const Lanes halves = x * 1.44269504f - 0.5f;
    Whole n;
    for (Size lane = 0; lane < LANES; lane++) n[lane] = int(halves[lane]);
    Lanes whole;
    for (Size lane = 0; lane < LANES; lane++) whole[lane] = float(n[lane]);
    const Lanes f = x - whole * 0.693147181f;  // from -.35 to .35
    const Lanes p = 1 + f * (1 + f * (0.5f + f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))))));
    return Lanes(Whole(p) + (n << 23));
}

// A row of weights, not yet divided by their sum, from one of logits, in place; the sum, and the row's log-sum-exp.
inline float softmax(const Shape& s, float* x, const float* mask, float* lse) {
    for (Size j = 0; j < s.keys && mask; j++) x[j] += mask[j] / s.scale;
    std::fill(x + s.keys, x + s.line, x[0]);  // so that whole vectors can be taken
    Lanes tops = load(x), sums = {};
    for (Size j = 0; j < s.line; j += LANES) {
        const Lanes here = load(x + j);
        tops = here > tops ? here : tops;
    }
    float top = tops[0], sum = 0;
    for (Size lane = 1; lane < LANES; lane++) top = std::max(top, tops[lane]);
    std::fill(x + s.keys, x + s.line, top - 1000 / s.scale);
    for (Size j = 0; j < s.line; j += LANES) {
        const Lanes here = exponential((load(x + j) - top) * s.scale);
        store(x + j, here);
        sums += here;
    }
    for (Size lane = 0; lane < LANES; lane++) sum += sums[lane];
    *lse = top * s.scale + std::log(sum);
    return sum;
}

inline void attend(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* mask, jittor::Var* out, jittor::Var* lse,
                   jittor::Var* keys, jittor::Var* values, Size heads) {
    const Shape s(q, k, heads, FEW);
    const Size blocks = s.blocks();
    pack_keys(s, k->ptr<float>(), keys->ptr<float>());
    pack_values(s, v->ptr<float>(), values->ptr<float>());
#pragma omp parallel
    {
        std::vector<float> weights(s.block * s.line), sums(s.block);
        float* p = weights.data();
#pragma omp for
        for (Size task = 0; task < s.batch * heads * blocks; task++) {
            const Size head = task / blocks, first = task % blocks * s.block, rows = std::min(s.block, s.queries - first);
            const Size mine = s.of_queries(head / heads, head % heads, first);
            look(s, q->ptr<float>() + mine, rows, keys->ptr<float>() + head * s.groups * s.depth * WIDE, p);
            float* to = out->ptr<float>() + mine;
            for (Size i = 0; i < rows; i++)
                sums[i] = softmax(s, p + i * s.line, mask ? mask->ptr<float>() + (first + i) * s.keys : nullptr,
                                  lse->ptr<float>() + head * s.queries + first + i);
            gather(s, p, rows, values->ptr<float>() + head * s.sides * s.keys * WIDE, to);
            for (Size i = 0; i < rows; i++)
                for (Size j = 0; j < s.depth; j++) to[i * s.width + j] /= sums[i];
        }
    }
}

inline void attend(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* out, jittor::Var* lse, jittor::Var* keys,
                   jittor::Var* values, Size heads) {
    attend(q, k, v, nullptr, out, lse, keys, values, heads);
}

// A half of a head's queries is one thread's: the gradients of the keys are sums over its queries in their order, and then of
// the halves, so that they do not depend on the number of threads. `more` has room for the second halves of dk and dv.
inline void attend_grad(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* mask, jittor::Var* out, jittor::Var* lse,
                        jittor::Var* dout, jittor::Var* dq, jittor::Var* dk, jittor::Var* dv, jittor::Var* keys,
                        jittor::Var* values, jittor::Var* columns, jittor::Var* more, Size heads) {
    const Shape s(q, k, heads, MANY);
    const Size halves = std::min<Size>(2, s.blocks()), half = (s.blocks() + halves - 1) / halves * s.block, all = k->num;
    pack_keys(s, k->ptr<float>(), keys->ptr<float>());
    pack_keys(s, v->ptr<float>(), values->ptr<float>());
    pack_values(s, k->ptr<float>(), columns->ptr<float>());
#pragma omp parallel
    {
        std::vector<float> weights(s.block * s.line), slopes(s.block * s.line), side(s.block * WIDE);
        float *p = weights.data(), *ds = slopes.data();
#pragma omp for
        for (Size task = 0; task < s.batch * heads * halves; task++) {
            const Size head = task / halves, part = task % halves, b = head / heads, h = head % heads;
            const Size theirs = s.of_keys(b, h), packed = head * s.groups * s.depth * WIDE;
            float* to_k = (part ? more->ptr<float>() : dk->ptr<float>()) + theirs;
            float* to_v = (part ? more->ptr<float>() + all : dv->ptr<float>()) + theirs;
            for (Size first = part * half; first < std::min(s.queries, (part + 1) * half); first += s.block) {
                const Size rows = std::min(s.block, s.queries - first), mine = s.of_queries(b, h, first);
                const float *oh = out->ptr<float>() + mine, *doh = dout->ptr<float>() + mine;
                look(s, q->ptr<float>() + mine, rows, keys->ptr<float>() + packed, p);
                look(s, doh, rows, values->ptr<float>() + packed, ds);
                for (Size i = 0; i < rows; i++) {
                    float *pi = p + i * s.line, *di = ds + i * s.line, delta = 0;
                    const float* masked = mask ? mask->ptr<float>() + (first + i) * s.keys : nullptr;
                    const float shift = lse->ptr<float>()[head * s.queries + first + i];
                    for (Size j = 0; j < s.depth; j++) delta += oh[i * s.width + j] * doh[i * s.width + j];
                    for (Size j = 0; j < s.keys && masked; j++) pi[j] += masked[j] / s.scale;
                    for (Size j = 0; j < s.line; j += LANES) {
                        const Lanes here = exponential(load(pi + j) * s.scale - shift);
                        store(pi + j, here);
                        store(di + j, s.scale * here * (load(di + j) - delta));
                    }
                }
                const bool begun = first > part * half;
                spread(s, p, rows, doh, side.data(), to_v, begun);
                spread(s, ds, rows, q->ptr<float>() + mine, side.data(), to_k, begun);
                gather(s, ds, rows, columns->ptr<float>() + head * s.sides * s.keys * WIDE, dq->ptr<float>() + mine);
            }
        }
    }
    if (halves < 2) return;
    const float* second = more->ptr<float>();
    float *to_k = dk->ptr<float>(), *to_v = dv->ptr<float>();
#pragma omp parallel for
    for (Size i = 0; i < all; i++) to_k[i] += second[i], to_v[i] += second[all + i];
}

inline void attend_grad(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* out, jittor::Var* lse, jittor::Var* dout,
                        jittor::Var* dq, jittor::Var* dk, jittor::Var* dv, jittor::Var* keys, jittor::Var* values,
                        jittor::Var* columns, jittor::Var* more, Size heads) {
    attend_grad(q, k, v, nullptr, out, lse, dout, dq, dk, dv, keys, values, columns, more, heads);
}

}  // namespace jdart
