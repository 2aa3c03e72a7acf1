// 3x3 convolutions of stride 1 and padding 1 by Winograd's minimal filtering F(4x4, 3x3), which multiplies a quarter as often:
// Lavin and Gray, 1509.09308. The points are 0, +-1/sqrt(2), +-sqrt(2) and infinity, whose rounding errors are half of those of
// the paper's: Barabasz et al., Error analysis and improving the accuracy of Winograd convolution, 1803.10986.
#pragma once

namespace jdart {

constexpr Size STEP = 4, TILE = 6, POINTS = TILE * TILE;  // sides of what a tile gives and takes
constexpr Size BLOCK = 72;                               // tiles whose products are computed together, a multiple of ROWS
constexpr Size GAP = 16;  // numbers between the points: without them all would fall on the same places of the cache
constexpr float ROOT = 1.41421356f, HALF = 0.70710678f;

// The transforms of one line: `step` is the distance of the results.
template <class T>
inline void to_points(const T& d0, const T& d1, const T& d2, const T& d3, const T& d4, const T& d5, T* out, Size step) {
    const T a = d4 - 2 * d2, b = HALF * d3 - ROOT * d1, c = d4 - 0.5f * d2, d = ROOT * d3 - HALF * d1;
    out[0] = d0 - 2.5f * d2 + d4;
    out[step] = a + b;
    out[2 * step] = a - b;
    out[3 * step] = c + d;
    out[4 * step] = c - d;
    out[5 * step] = d1 - 2.5f * d3 + d5;
}

template <class T>
inline void from_points(const T& m0, const T& m1, const T& m2, const T& m3, const T& m4, const T& m5, T* out, Size step) {
    const T a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
    out[0] = m0 + a + c;
    out[step] = HALF * b + ROOT * d;
    out[2 * step] = 0.5f * a + 2 * c;
    out[3 * step] = 0.5f * HALF * b + 2 * ROOT * d + m5;
}

template <class T>
inline void taps_to_points(const T& g0, const T& g1, const T& g2, T* out, Size step) {
    const T a = g0 + 0.5f * g2, b = HALF * g1, c = g0 + 2 * g2, d = ROOT * g1;
    out[0] = g0;
    out[step] = (a + b) * (-1 / 1.5f);
    out[2 * step] = (a - b) * (-1 / 1.5f);
    out[3 * step] = (c + d) * (1 / 6.0f);
    out[4 * step] = (c - d) * (1 / 6.0f);
    out[5 * step] = g2;
}

// A convolution x (batch, ins, height, width) -> y (batch, outs, height, width). `turned`: its slope, from y's to x's, whose
// weight is stored as that of the convolution, (ins, outs, 3, 3) then.
struct Convolution {
    const float *x, *weight, *bias;
    float* y;
    Size batch, ins, outs, height, width;
    bool turned;
    Size deep, groups, down, across;  // channels that are filled up, groups of WIDE outputs, tiles of a picture

    Convolution(jittor::Var* from, jittor::Var* weights, jittor::Var* biases, jittor::Var* to, bool turn)
        : x(from->ptr<float>()), weight(weights->ptr<float>()), bias(biases ? biases->ptr<float>() : nullptr),
          y(to->ptr<float>()), batch(from->shape[0]), ins(from->shape[1]), outs(to->shape[1]), height(from->shape[2]),
          width(from->shape[3]), turned(turn), deep((ins + LANES - 1) / LANES * LANES), groups((outs + WIDE - 1) / WIDE),
          down((height + STEP - 1) / STEP), across((width + STEP - 1) / STEP) {}

    Size tiles() const { return batch * down * across; }
    Size padded_width() const { return across * STEP + 2; }

    // What `count` rows of tiles from `first` on take, with LANES channels side by side and zeros around the picture:
    // (count, deep / LANES, TILE, padded width, LANES)
    void pack(Size first, Size count, float* packed) const {
        const Size columns = padded_width(), stacks = deep / LANES;
#pragma omp parallel for collapse(2)
        for (Size above = 0; above < count; above++)
            for (Size stack = 0; stack < stacks; stack++) {
                const Size picture = (first + above) / down, top = (first + above) % down * STEP - 1;
                const float* plane = x + (picture * ins + stack * LANES) * height * width;
                float* to = packed + (above * stacks + stack) * TILE * columns * LANES;
                for (Size i = 0; i < TILE; i++)
                    pack_line(plane, top + i, std::min(LANES, ins - stack * LANES), to + i * columns * LANES);
            }
    }

    // One of these lines: row `row` of the picture, of `count` channels from `plane` on
    void pack_line(const float* plane, Size row, Size count, float* line) const {
        const Size columns = padded_width();
        if (row < 0 || row >= height) {
            std::fill(line, line + columns * LANES, 0.0f);
            return;
        }
        std::fill(line, line + LANES, 0.0f);
        std::fill(line + (width + 1) * LANES, line + columns * LANES, 0.0f);
        Size column = 0;
        for (; count == LANES && column + LANES <= width; column += LANES) {
            Lanes square[LANES];
            for (Size lane = 0; lane < LANES; lane++) square[lane] = load(plane + (lane * height + row) * width + column);
            transpose<LANES>(square);
            for (Size lane = 0; lane < LANES; lane++) store(line + (column + 1 + lane) * LANES, square[lane]);
        }
        for (; column < width; column++)
            for (Size lane = 0; lane < LANES; lane++)
                line[(column + 1) * LANES + lane] = lane < count ? plane[(lane * height + row) * width + column] : 0.0f;
    }

    // Tiles from `first` on at their points: v (POINTS, tiles, deep), `far` apart
    void take(const float* packed, Size first, Size count, float* v, Size far) const {
        const Size columns = padded_width(), stacks = deep / LANES;
#pragma omp parallel for
        for (Size tile = 0; tile < count; tile++) {
            const Size row = (first + tile) / across - first / across, column = (first + tile) % across * STEP;
            for (Size stack = 0; stack < stacks; stack++) {
                const float* from = packed + ((row * stacks + stack) * TILE * columns + column) * LANES;
                Lanes half[TILE][TILE], line[TILE];
                for (Size j = 0; j < TILE; j++) {
                    auto at = [=](Size i) { return load(from + (i * columns + j) * LANES); };
                    to_points(at(0), at(1), at(2), at(3), at(4), at(5), &half[0][j], TILE);
                }
                for (Size i = 0; i < TILE; i++) {
                    to_points(half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5], line, 1);
                    for (Size j = 0; j < TILE; j++) store(v + (i * TILE + j) * far + tile * deep + stack * LANES, line[j]);
                }
            }
        }
    }

    // Weights of a group's outputs for the channels from `first` on, at their points: u (POINTS, count, WIDE), GAP between
    void weigh(Size group, Size first, Size count, float* u) const {
        const Size many = std::min(WIDE, outs - group * WIDE);
        for (Size k = 0; k < count; k += LANES) {
            for (Size i = 0; i < LANES && turned; i++)  // the next channels', which are far apart
                for (Size at = 0; at < WIDE * 9; at += 16)
                    __builtin_prefetch(weight + ((first + k + LANES + i) * outs + group * WIDE) * 9 + at);
            Lanes taps[LANES * 9];  // of LANES channels, LANES outputs side by side
            for (Size side = 0; side < WIDE; side += LANES) {
                const Size out = group * WIDE + side, in = first + k;
                if (!turned && side + LANES <= many && in + LANES <= ins) {
                    for (Size nine = 0; nine < 9; nine++) {
                        Lanes* square = taps + nine * LANES;
                        for (Size o = 0; o < LANES; o++) square[o] = load(weight + ((out + o) * ins + in) * 9 + nine * LANES);
                        transpose<LANES>(square);
                    }
                } else {
                    std::fill(taps, taps + LANES * 9, Lanes{});
                    for (Size i = 0; i < LANES && in + i < ins; i++)
                        for (Size o = 0; o < LANES && side + o < many; o++) {
                            const float* from = weight + (turned ? (in + i) * outs + out + o : (out + o) * ins + in + i) * 9;
                            for (Size tap = 0; tap < 9; tap++) taps[i * 9 + (turned ? 8 - tap : tap)][o] = from[tap];
                        }
                }
                for (Size i = 0; i < LANES; i++) {
                    Lanes half[3][TILE], line[TILE];
                    const Lanes* own = taps + i * 9;
                    for (Size j = 0; j < 3; j++) taps_to_points(own[j], own[3 + j], own[6 + j], half[j], 1);
                    for (Size r = 0; r < TILE; r++) {
                        taps_to_points(half[0][r], half[1][r], half[2][r], line, 1);
                        for (Size j = 0; j < TILE; j++)
                            store(u + (r * TILE + j) * (count * WIDE + GAP) + (k + i) * WIDE + side, line[j]);
                    }
                }
            }
        }
    }

    // Sums at the points, m (POINTS, count, WIDE), of tiles from `first` on to the pixels of a group's outputs
    void give(Size group, const float* m, Size first, Size count) const {
        const Size many = std::min(WIDE, outs - group * WIDE);
        for (Size tile = 0; tile < count; tile++) {
            const Size picture = (first + tile) / (down * across), place = (first + tile) % (down * across);
            const Size row = place / across * STEP, column = place % across * STEP;
            const Size rows = std::min(STEP, height - row), columns = std::min(STEP, width - column);
            for (Size side = 0; side < many; side += LANES) {
                const Size out = group * WIDE + side, channels = std::min(LANES, many - side);
                Lanes half[STEP][TILE], line[STEP], start = {};
                for (Size lane = 0; lane < channels && bias; lane++) start[lane] = bias[out + lane];
                for (Size j = 0; j < TILE; j++) {
                    auto at = [=](Size i) { return load(m + ((i * TILE + j) * count + tile) * WIDE + side); };
                    from_points(at(0), at(1), at(2), at(3), at(4), at(5), &half[0][j], TILE);
                }
                for (Size i = 0; i < rows; i++) {
                    from_points(half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5], line, 1);
                    for (Size j = 0; j < STEP; j++) line[j] += start;
                    transpose<STEP>(line);  // channel 4 q + r has place q of row r now
                    float* to = y + ((picture * outs + out) * height + row + i) * width + column;
                    for (Size lane = 0; lane < channels; lane++) {
                        const float* four = reinterpret_cast<const float*>(line + lane % STEP) + lane / STEP * STEP;
                        if (columns == STEP)
                            std::copy(four, four + STEP, to + lane * height * width);
                        else
                            std::copy(four, four + columns, to + lane * height * width);
                    }
                }
            }
        }
    }

    // `v` has room for the points of some tiles, `u` for the weights at their points or for nothing: then they are made
    // where they are used.
    void run(float* packed, jittor::Var* v, jittor::Var* u) const {
        const bool kept = u->num > 1;
        const Size far = v->num / POINTS, room = (far - GAP) / deep, parts = (deep + DEEP - 1) / DEEP;
        float *points = v->ptr<float>(), *all = u->ptr<float>();
        auto weights = [=](Size group, Size part) {
            return all + POINTS * ((group * deep + part * DEEP) * WIDE + (group * parts + part) * GAP);
        };
        if (kept) {
#pragma omp parallel for collapse(2)
            for (Size group = 0; group < groups; group++)
                for (Size part = 0; part < parts; part++)
                    weigh(group, part * DEEP, std::min(DEEP, deep - part * DEEP), weights(group, part));
        }
        for (Size begin = 0; begin < tiles(); begin += room) {
            const Size here = std::min(room, tiles() - begin), blocks = (here + BLOCK - 1) / BLOCK;
            pack(begin / across, (begin + here - 1) / across - begin / across + 1, packed);
            take(packed, begin, here, points, far);
#pragma omp parallel
            {
                static thread_local std::vector<float> own, sums;
                own.resize(kept ? 0 : POINTS * (std::min(DEEP, deep) * WIDE + GAP));
                sums.resize(POINTS * BLOCK * WIDE);
#pragma omp for collapse(2)
                for (Size group = 0; group < groups; group++)
                    for (Size block = 0; block < blocks; block++) {
                        const Size count = std::min(BLOCK, here - block * BLOCK);
                        for (Size part = 0; part < parts; part++) {
                            const Size first = part * DEEP, depth = std::min(DEEP, deep - first);
                            if (!kept) weigh(group, first, depth, own.data());
                            const float* w = kept ? weights(group, part) : own.data();
                            for (Size point = 0; point < POINTS; point++)
                                multiply(count, points + point * far + block * BLOCK * deep + first, deep,
                                         w + point * (depth * WIDE + GAP), depth, part ? nullptr : NOTHING,
                                         sums.data() + point * count * WIDE, WIDE);
                        }
                        give(group, sums.data(), begin + block * BLOCK, count);
                    }
            }
        }
    }
};

inline void convolve(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y, jittor::Var* packed,
                     jittor::Var* v, jittor::Var* u) {
    Convolution(x, weight, bias, y, false).run(packed->ptr<float>(), v, u);
}

inline void convolve(jittor::Var* x, jittor::Var* weight, jittor::Var* y, jittor::Var* packed, jittor::Var* v,
                     jittor::Var* u) {
    convolve(x, weight, nullptr, y, packed, v, u);
}

inline void convolve_grad(jittor::Var* dy, jittor::Var* weight, jittor::Var* dx, jittor::Var* packed, jittor::Var* v,
                          jittor::Var* u) {
    Convolution(dy, weight, nullptr, dx, true).run(packed->ptr<float>(), v, u);
}

}  // namespace jdart
