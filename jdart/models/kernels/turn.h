// The last two sides of x (batch, high, wide) exchanged: (batch, wide, high).
#pragma once

namespace jdart {

inline void turn(jittor::Var* x, jittor::Var* y) {
    const Size high = x->shape[1], wide = x->shape[2];
    const float* from = x->ptr<float>();
    float* to = y->ptr<float>();
#pragma omp parallel for collapse(2)
    for (Size b = 0; b < x->shape[0]; b++)
        for (Size i = 0; i < high; i += LANES) {
            const float* rows = from + b * high * wide;
            float* columns = to + b * high * wide;
            Size j = 0;
            for (; i + LANES <= high && j + LANES <= wide; j += LANES) {
                Lanes square[LANES];
                for (Size lane = 0; lane < LANES; lane++) square[lane] = load(rows + (i + lane) * wide + j);
                transpose<LANES>(square);
                for (Size lane = 0; lane < LANES; lane++) store(columns + (j + lane) * high + i, square[lane]);
            }
            for (; j < wide; j++)
                for (Size lane = i; lane < std::min(high, i + LANES); lane++) columns[j * high + lane] = rows[lane * wide + j];
        }
}

}  // namespace jdart
