// Scaled dot-product attention without transposes and without keeping the (N, M) weights: a block of queries of one head at
// a time. The backward pass computes the weights again from the log-sum-exp of each row (Dao et al., 2205.14135).
#pragma once

namespace jdart {

struct Shape {
    Size batch, queries, keys, width, heads, depth, block;
    float scale;

    Shape(jittor::Var* q, jittor::Var* k, Size heads)
        : batch(q->shape[0]), queries(q->shape[1]), keys(k->shape[1]), width(q->shape[2]), heads(heads),
          depth(width / heads), block(std::min(queries, std::max<Size>(64, std::min<Size>(512, 65536 / keys)))),
          scale(1 / std::sqrt(float(depth))) {}
};

// Rows of weights from rows of logits, in place; returns nothing but fills each row's log-sum-exp.
inline void softmax_rows(float* x, const float* mask, Size rows, Size keys, float* lse) {
    for (Size i = 0; i < rows; i++, x += keys) {
        if (mask)
            for (Size j = 0; j < keys; j++) x[j] += mask[i * keys + j];
        float top = x[0], sum = 0;
        for (Size j = 1; j < keys; j++) top = x[j] > top ? x[j] : top;
        for (Size j = 0; j < keys; j++) sum += x[j] = std::exp(x[j] - top);
        for (Size j = 0; j < keys; j++) x[j] /= sum;
        lse[i] = top + std::log(sum);
    }
}

inline void attend(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* mask, jittor::Var* out, jittor::Var* lse,
                   Size heads) {
    const Shape s(q, k, heads);
    const Size blocks = (s.queries + s.block - 1) / s.block;
#pragma omp parallel
    {
        std::vector<float> weights(s.block * s.keys);
        float* p = weights.data();
#pragma omp for
        for (Size task = 0; task < s.batch * heads * blocks; task++) {
            const Size b = task / blocks / heads, h = task / blocks % heads, first = task % blocks * s.block;
            const Size rows = std::min(s.block, s.queries - first);
            const Size mine = (b * s.queries + first) * s.width + h * s.depth, theirs = b * s.keys * s.width + h * s.depth;
            gemm('N', 'T', rows, s.keys, s.depth, s.scale, q->ptr<float>() + mine, s.width, k->ptr<float>() + theirs, s.width,
                 0, p, s.keys);
            softmax_rows(p, mask ? mask->ptr<float>() + first * s.keys : nullptr, rows, s.keys,
                         lse->ptr<float>() + (b * heads + h) * s.queries + first);
            gemm('N', 'N', rows, s.depth, s.keys, 1, p, s.keys, v->ptr<float>() + theirs, s.width, 0,
                 out->ptr<float>() + mine, s.width);
        }
    }
}

inline void attend(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* out, jittor::Var* lse, Size heads) {
    attend(q, k, v, nullptr, out, lse, heads);
}

// A head is one thread's: the gradients of its keys are sums over its queries, in their order.
inline void attend_grad(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* mask, jittor::Var* out,
                        jittor::Var* lse, jittor::Var* dout, jittor::Var* dq, jittor::Var* dk, jittor::Var* dv, Size heads) {
    const Shape s(q, k, heads);
#pragma omp parallel
    {
        std::vector<float> weights(s.block * s.keys), slopes(s.block * s.keys);
        float *p = weights.data(), *ds = slopes.data();
#pragma omp for
        for (Size head = 0; head < s.batch * heads; head++) {
            const Size b = head / heads, h = head % heads;
            const Size theirs = b * s.keys * s.width + h * s.depth;
            const float *kh = k->ptr<float>() + theirs, *vh = v->ptr<float>() + theirs;
            for (Size first = 0; first < s.queries; first += s.block) {
                const Size rows = std::min(s.block, s.queries - first);
                const Size mine = (b * s.queries + first) * s.width + h * s.depth;
                const float *qh = q->ptr<float>() + mine, *oh = out->ptr<float>() + mine, *doh = dout->ptr<float>() + mine;
                gemm('N', 'T', rows, s.keys, s.depth, s.scale, qh, s.width, kh, s.width, 0, p, s.keys);
                gemm('N', 'T', rows, s.keys, s.depth, 1, doh, s.width, vh, s.width, 0, ds, s.keys);
                for (Size i = 0; i < rows; i++) {
                    float *pi = p + i * s.keys, *di = ds + i * s.keys, delta = 0;
                    const float shift = lse->ptr<float>()[head * s.queries + first + i];
                    for (Size j = 0; j < s.depth; j++) delta += oh[i * s.width + j] * doh[i * s.width + j];
                    if (mask)
                        for (Size j = 0; j < s.keys; j++) pi[j] += mask->ptr<float>()[(first + i) * s.keys + j];
                    for (Size j = 0; j < s.keys; j++) pi[j] = std::exp(pi[j] - shift);
                    for (Size j = 0; j < s.keys; j++) di[j] = pi[j] * (di[j] - delta);
                }
                const float kept = first > 0;
                gemm('T', 'N', s.keys, s.depth, rows, 1, p, s.keys, doh, s.width, kept, dv->ptr<float>() + theirs, s.width);
                gemm('T', 'N', s.keys, s.depth, rows, s.scale, ds, s.keys, qh, s.width, kept, dk->ptr<float>() + theirs,
                     s.width);
                gemm('N', 'N', rows, s.depth, s.keys, s.scale, ds, s.keys, kh, s.width, 0, dq->ptr<float>() + mine, s.width);
            }
        }
    }
}

inline void attend_grad(jittor::Var* q, jittor::Var* k, jittor::Var* v, jittor::Var* out, jittor::Var* lse,
                        jittor::Var* dout, jittor::Var* dq, jittor::Var* dk, jittor::Var* dv, Size heads) {
    attend_grad(q, k, v, nullptr, out, lse, dout, dq, dk, dv, heads);
}

}  // namespace jdart
