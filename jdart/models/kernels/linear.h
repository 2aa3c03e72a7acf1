// Products with a linear layer's weight (out, in): of x (..., in), of the slope dy (..., out), and the weight's own gradient.
#pragma once

namespace jdart {

constexpr Size HIGH = 24 * ROWS, GROUPS = 8;  // rows and groups of WIDE columns that are a thread's at once
constexpr Size SIDE = 64;                     // of the blocks otherwise

// The same for few rows, which a copy of b is too dear for.
inline void few(char tb, const float* x, Size rows, Size deep, const float* b, Size columns, const float* bias, float* y) {
#pragma omp parallel for
    for (Size j = 0; j < columns; j += SIDE) {
        const Size count = std::min(SIDE, columns - j);
        for (Size row = 0; row < rows && bias; row++) std::copy(bias + j, bias + j + count, y + row * columns + j);
        gemm('N', tb, rows, count, deep, 1, x, deep, b + (tb == 'T' ? j * deep : j), tb == 'T' ? deep : columns, bias ? 1 : 0,
             y + j, columns);
    }
}

// y (rows, columns) = bias + x (rows, deep) * b (deep, columns), or 'T', b (columns, deep). `packed` has room for all of b,
// or is null.
inline void multiplied(char tb, const float* x, Size rows, Size deep, const float* b, Size columns, const float* bias, float* y,
                       float* packed) {
    if (!packed) return few(tb, x, rows, deep, b, columns, bias, y);
    const Size groups = (columns + WIDE - 1) / WIDE, parts = (deep + DEEP - 1) / DEEP;
#pragma omp parallel for collapse(2)
    for (Size group = 0; group < groups; group++)
        for (Size part = 0; part < parts; part++) {
            const Size j = group * WIDE, k = part * DEEP, ldb = tb == 'T' ? deep : columns;
            pack(tb, b + (tb == 'T' ? j * ldb + k : k * ldb + j), ldb, std::min(DEEP, deep - k), std::min(WIDE, columns - j),
                 packed + (group * deep + k) * WIDE);
        }
    const Size down = (rows + HIGH - 1) / HIGH, across = (groups + GROUPS - 1) / GROUPS;
#pragma omp parallel for collapse(2)
    for (Size block = 0; block < down; block++)
        for (Size side = 0; side < across; side++) {
            const Size i = block * HIGH, count = std::min(HIGH, rows - i);
            float line[WIDE];
            for (Size k = 0; k < deep; k += DEEP)
                for (Size group = side * GROUPS; group < std::min(groups, (side + 1) * GROUPS); group++) {
                    const Size j = group * WIDE, many = std::min(WIDE, columns - j);
                    std::fill(line, line + WIDE, 0.0f);
                    if (bias) std::copy(bias + j, bias + j + many, line);
                    multiply(count, x + i * deep + k, deep, packed + (group * deep + k) * WIDE, std::min(DEEP, deep - k),
                             k ? nullptr : line, y + i * columns + j, columns, many);
                }
        }
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y, jittor::Var* packed) {
    const Size out = weight->shape[0], in = weight->shape[1];
    multiplied('T', x->ptr<float>(), x->num / in, in, weight->ptr<float>(), out, bias ? bias->ptr<float>() : nullptr,
               y->ptr<float>(), packed->num > 1 ? packed->ptr<float>() : nullptr);
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* y, jittor::Var* packed) {
    linear(x, weight, nullptr, y, packed);
}

inline void linear_grad(jittor::Var* dy, jittor::Var* weight, jittor::Var* dx, jittor::Var* packed) {
    const Size out = weight->shape[0], in = weight->shape[1];
    multiplied('N', dy->ptr<float>(), dy->num / out, out, weight->ptr<float>(), in, nullptr, dx->ptr<float>(),
               packed->num > 1 ? packed->ptr<float>() : nullptr);
}

inline void linear_grad_weight(jittor::Var* dy, jittor::Var* x, jittor::Var* dweight) {
    const Size out = dweight->shape[0], in = dweight->shape[1], rows = x->num / in;
    const Size down = (out + SIDE - 1) / SIDE, across = (in + SIDE - 1) / SIDE;
#pragma omp parallel for
    for (Size block = 0; block < down * across; block++) {
        const Size i = block / across * SIDE, j = block % across * SIDE;
        gemm('T', 'N', std::min(SIDE, out - i), std::min(SIDE, in - j), rows, 1, dy->ptr<float>() + i, out, x->ptr<float>() + j,
             in, 0, dweight->ptr<float>() + i * in + j, in);
    }
}

}  // namespace jdart
