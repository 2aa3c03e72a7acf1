// Products with a linear layer's weight (out, in): of x (..., in), of the slope dy (..., out), and the weight's own gradient.
// A row's result does not depend on how many rows there are.
#pragma once

namespace jdart {

constexpr Size HIGH = 512, GROUPS = 10;  // rows, and groups of WIDE columns at most, that are a thread's at once
constexpr Size NEAR = 4 * ROWS;          // rows that a thread takes through its columns together
constexpr Size FEW = 256;                // rows that are turned rather than the weight
constexpr Size SIDE = 64;                // of a block of the weight's gradient

// y (rows, columns) = bias + x (rows, deep) * b (deep, columns), or 'T', b (columns, deep). A thread copies the columns that
// are its own in the order in which it multiplies with them.
inline void many(char tb, const float* x, Size rows, Size deep, const float* b, Size columns, const float* bias, float* y) {
    const Size ldb = tb == 'T' ? deep : columns, threads = omp_get_max_threads();
    const Size groups = (columns + WIDE - 1) / WIDE, down = (rows + HIGH - 1) / HIGH;
    const Size tasks = (down * ((groups + GROUPS - 1) / GROUPS) + threads - 1) / threads * threads;  // as many for each thread
    const Size across = std::min(groups, (tasks + down - 1) / down), at_once = (groups + across - 1) / across;
#pragma omp parallel
    {
        static thread_local std::vector<float> packed;
        packed.resize(std::min(DEEP, deep) * at_once * WIDE);
#pragma omp for collapse(2)
        for (Size side = 0; side < across; side++)
            for (Size block = 0; block < down; block++) {
                const Size first = side * at_once, last = std::min(groups, first + at_once);
                const Size end = std::min(rows, (block + 1) * HIGH);
                float line[WIDE] = {};
                for (Size k = 0; k < deep; k += DEEP) {
                    const Size depth = std::min(DEEP, deep - k);
                    auto own = [=](Size group) { return packed.data() + (group - first) * depth * WIDE; };
                    for (Size group = first; group < last; group++)
                        pack(tb, b + (tb == 'T' ? group * WIDE * ldb + k : k * ldb + group * WIDE), ldb, depth,
                             std::min(WIDE, columns - group * WIDE), own(group));
                    for (Size i = block * HIGH; i < end; i += NEAR)
                        for (Size group = first; group < last; group++) {
                            const Size j = group * WIDE, here = std::min(WIDE, columns - j);
                            if (bias) std::copy(bias + j, bias + j + here, line);
                            multiply(std::min(NEAR, end - i), x + i * deep + k, deep, own(group), depth, k ? nullptr : line,
                                     y + i * columns + j, columns, here);
                        }
                }
            }
    }
}

// The same, to the bit, with b (columns, deep) as it is and x turned, where x is smaller.
inline void few(const float* x, Size rows, Size deep, const float* b, Size columns, const float* bias, float* y) {
    static std::vector<float> turned;
    turned.resize((rows + WIDE - 1) / WIDE * WIDE * deep);
    float* packed = turned.data();
#pragma omp parallel
    {
#pragma omp for
        for (Size i = 0; i < rows; i += WIDE) pack('T', x + i * deep, deep, deep, std::min(WIDE, rows - i), packed + i * deep);
#pragma omp for
        for (Size j = 0; j < columns; j += NEAR)
            for (Size i = 0; i < rows; i += WIDE) {
                const Size count = std::min(NEAR, columns - j);
                float block[NEAR * WIDE];
                for (Size column = 0; column < count; column++)
                    std::fill(block + column * WIDE, block + (column + 1) * WIDE, bias ? bias[j + column] : 0.0f);
                for (Size k = 0; k < deep; k += DEEP)
                    multiply(count, b + j * deep + k, deep, packed + i * deep + k * WIDE, std::min(DEEP, deep - k), nullptr, block,
                             WIDE);
                for (Size row = i; row < std::min(rows, i + WIDE); row++)
                    for (Size column = 0; column < count; column++) y[row * columns + j + column] = block[column * WIDE + row - i];
            }
    }
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y) {
    const Size out = weight->shape[0], in = weight->shape[1], rows = x->num / in;
    const float *from = x->ptr<float>(), *w = weight->ptr<float>(), *offset = bias ? bias->ptr<float>() : nullptr;
    if (rows < FEW)
        few(from, rows, in, w, out, offset, y->ptr<float>());
    else
        many('T', from, rows, in, w, out, offset, y->ptr<float>());
}

inline void linear(jittor::Var* x, jittor::Var* weight, jittor::Var* y) { linear(x, weight, nullptr, y); }

inline void linear_grad(jittor::Var* dy, jittor::Var* weight, jittor::Var* dx) {
    const Size out = weight->shape[0], in = weight->shape[1];
    many('N', dy->ptr<float>(), dy->num / out, out, weight->ptr<float>(), in, nullptr, dx->ptr<float>());
}

inline void linear_grad_weight(jittor::Var* dy, jittor::Var* x, jittor::Var* dweight) {
    const Size out = dweight->shape[0], in = dweight->shape[1];
    blocks('T', 'N', out, in, x->num / in, dy->ptr<float>(), out, x->ptr<float>(), in, 0, dweight->ptr<float>(), in, SIDE, SIDE);
}

}  // namespace jdart
