// Vectors of as many floats as the processor works on at once, and products of matrices that stay in its registers.
#pragma once

namespace jdart {

#ifdef __AVX512F__
constexpr Size LANES = 16, ROWS = 12;
#else
constexpr Size LANES = 8, ROWS = 6;
#endif
constexpr Size WIDE = 2 * LANES;  // ROWS x WIDE sums stay in registers
constexpr Size DEEP = 320;        // terms of a sum whose factors stay in the cache

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float Loose __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));  // anywhere in memory

inline Lanes load(const float* at) { return *reinterpret_cast<const Loose*>(at); }
inline void store(float* at, Lanes value) { *reinterpret_cast<Loose*>(at) = value; }

// Transpose squares of COUNT x COUNT numbers that stand side by side in COUNT rows.
template <Size COUNT>
inline void transpose(Lanes* rows) {
    typedef int Places __attribute__((vector_size(LANES * sizeof(int))));
#pragma GCC unroll 4
    for (Size half = COUNT / 2; half > 0; half /= 2) {
        Places upper, lower;
#pragma GCC unroll 16
        for (Size lane = 0; lane < LANES; lane++) {
            upper[lane] = lane & half ? LANES + lane - half : lane;
            lower[lane] = lane & half ? LANES + lane : lane + half;
        }
#pragma GCC unroll 16
        for (Size row = 0; row < COUNT; row++)
            if (!(row & half)) {
                const Lanes a = rows[row], b = rows[row + half];
                rows[row] = __builtin_shuffle(a, b, upper);
                rows[row + half] = __builtin_shuffle(a, b, lower);
            }
    }
}

// `depth` rows of up to WIDE columns of b side by side, (depth, WIDE), zeros where there are no more columns; 'T': b is
// stored as (columns, depth). `ldb` is the distance of its rows.
inline void pack(char tb, const float* b, Size ldb, Size depth, Size columns, float* packed) {
    Size k = 0;
    if (tb == 'T' && columns == WIDE)
        for (; k + LANES <= depth; k += LANES)
            for (Size side = 0; side < WIDE; side += LANES) {
                Lanes square[LANES];
                for (Size j = 0; j < LANES; j++) square[j] = load(b + (side + j) * ldb + k);
                transpose<LANES>(square);
                for (Size j = 0; j < LANES; j++) store(packed + (k + j) * WIDE + side, square[j]);
            }
    if (tb == 'N' && columns == WIDE)
        for (; k < depth; k++)
            for (Size side = 0; side < WIDE; side += LANES) store(packed + k * WIDE + side, load(b + k * ldb + side));
    for (; k < depth; k++)
        for (Size j = 0; j < WIDE; j++)
            packed[k * WIDE + j] = j >= columns ? 0.0f : tb == 'T' ? b[j * ldb + k] : b[k * ldb + j];
}

// c (COUNT, WIDE) = start + a (COUNT, depth) * packed (depth, WIDE). `start` is a line (WIDE), or null for what c holds. TURNED:
// a is stored as (depth, COUNT).
template <Size COUNT, bool TURNED>
inline void product(const float* a, Size lda, const float* packed, Size depth, const float* start, float* c, Size ldc) {
    Lanes sums[COUNT][2];
    for (Size row = 0; row < COUNT; row++)
        for (Size side = 0; side < 2; side++) sums[row][side] = load((start ? start : c + row * ldc) + side * LANES);
    for (Size k = 0; k < depth; k++) {
        const Lanes left = load(packed + k * WIDE), right = load(packed + k * WIDE + LANES);
#pragma GCC unroll 16
        for (Size row = 0; row < COUNT; row++) {
            const Lanes factor = Lanes{} + (TURNED ? a[k * lda + row] : a[row * lda + k]);
            sums[row][0] += factor * left;
            sums[row][1] += factor * right;
        }
    }
    for (Size row = 0; row < COUNT; row++)
        for (Size side = 0; side < 2; side++) store(c + row * ldc + side * LANES, sums[row][side]);
}

template <Size COUNT, bool TURNED>
struct Rest {
    static void multiply(Size rows, const float* a, Size lda, const float* packed, Size depth, const float* start, float* c,
                         Size ldc) {
        if (rows == COUNT)
            product<COUNT, TURNED>(a, lda, packed, depth, start, c, ldc);
        else
            Rest<COUNT - 1, TURNED>::multiply(rows, a, lda, packed, depth, start, c, ldc);
    }
};

template <bool TURNED>
struct Rest<0, TURNED> {
    static void multiply(Size, const float*, Size, const float*, Size, const float*, float*, Size) {}
};

// `product` with any number of rows
template <bool TURNED = false>
inline void multiply(Size rows, const float* a, Size lda, const float* packed, Size depth, const float* start, float* c,
                     Size ldc) {
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * (TURNED ? 1 : lda), c += ROWS * ldc)
        product<ROWS, TURNED>(a, lda, packed, depth, start, c, ldc);
    Rest<ROWS - 1, TURNED>::multiply(rows, a, lda, packed, depth, start, c, ldc);
}

// `multiply` where c has only so many columns
template <bool TURNED = false>
inline void multiply(Size rows, const float* a, Size lda, const float* packed, Size depth, const float* start, float* c,
                     Size ldc, Size columns) {
    if (columns == WIDE) return multiply<TURNED>(rows, a, lda, packed, depth, start, c, ldc);
    float edge[ROWS * WIDE];
    for (Size first = 0; first < rows; first += ROWS, c += ROWS * ldc) {
        const Size count = std::min(ROWS, rows - first);
        for (Size row = 0; row < count && !start; row++) std::copy(c + row * ldc, c + row * ldc + columns, edge + row * WIDE);
        multiply<TURNED>(count, a + first * (TURNED ? 1 : lda), lda, packed, depth, start, edge, WIDE);
        for (Size row = 0; row < count; row++) std::copy(edge + row * WIDE, edge + row * WIDE + columns, c + row * ldc);
    }
}

constexpr float NOTHING[WIDE] = {};

}  // namespace jdart
