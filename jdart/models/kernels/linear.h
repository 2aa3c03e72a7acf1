// Products with a linear layer's weight (out, in): of x (..., in), of the slope dy (..., out), and for the weight's own gradient.
#pragma once

namespace jdart {

constexpr Size ROWS = 64, COLUMNS = 128;

// gemm in blocks of c, one thread a block; `start` (n) is what every row of c begins with, or null for zeros
inline void blocked(char ta, char tb, Size m, Size n, Size k, const float* a, Size lda, const float* b, Size ldb,
                    const float* start, float* c) {
    const Size down = (m + ROWS - 1) / ROWS, across = (n + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for
    for (Size block = 0; block < down * across; block++) {
        const Size i = block / across * ROWS, j = block % across * COLUMNS;
        const Size rows = std::min(ROWS, m - i), columns = std::min(COLUMNS, n - j);
        if (start)
            for (Size row = i; row < i + rows; row++) std::copy(start + j, start + j + columns, c + row * n + j);
        gemm(ta, tb, rows, columns, k, 1, a + (ta == 'T' ? i : i * lda), lda, b + (tb == 'T' ? j * ldb : j), ldb,
             start ? 1 : 0, c + i * n + j, n);
    }
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y) {
    const Size out = weight->shape[0], in = weight->shape[1];
    blocked('N', 'T', x->num / in, out, in, x->ptr<float>(), in, weight->ptr<float>(), in,
            bias ? bias->ptr<float>() : nullptr, y->ptr<float>());
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* y) { linear(x, weight, nullptr, y); }

inline void linear_grad(jittor::Var* dy, jittor::Var* weight, jittor::Var* dx) {
    const Size out = weight->shape[0], in = weight->shape[1];
    blocked('N', 'N', dy->num / out, in, out, dy->ptr<float>(), out, weight->ptr<float>(), in, nullptr, dx->ptr<float>());
}

inline void linear_grad_weight(jittor::Var* dy, jittor::Var* x, jittor::Var* dweight) {
    const Size out = dweight->shape[0], in = dweight->shape[1];
    blocked('T', 'N', out, in, x->num / in, dy->ptr<float>(), out, x->ptr<float>(), in, nullptr, dweight->ptr<float>());
}

}  // namespace jdart
