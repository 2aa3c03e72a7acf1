// Any other convolution: what each pixel of the result looks at is a column, and the weight (outs, ins * kernel) times the
// columns is the result; its slope the other way round. Some pixels at a time, so that the columns stay in the cache.
#pragma once

namespace jdart {

constexpr Size HIGH = 160, ACROSS = 128;  // channels and pixels of a block of results
constexpr Size CHANNELS = 16;             // channels of x whose columns are a thread's at once on the way back

// One convolution of pictures (ins, height, width) to such of `high` x `wide` pixels
struct Window {
    Size ins, height, width, outs, high, wide, kernel_y, kernel_x;
    Size stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;

    Window(jittor::Var* x, jittor::Var* weight, jittor::Var* y, Size stride_y, Size stride_x, Size padding_y, Size padding_x,
           Size dilation_y, Size dilation_x)
        : ins(x->shape[1]), height(x->shape[2]), width(x->shape[3]), outs(y->shape[1]), high(y->shape[2]), wide(y->shape[3]),
          kernel_y(weight->shape[2]), kernel_x(weight->shape[3]), stride_y(stride_y), stride_x(stride_x),
          padding_y(padding_y), padding_x(padding_x), dilation_y(dilation_y), dilation_x(dilation_x) {}

    Size taps() const { return kernel_y * kernel_x; }
    Size deep() const { return ins * taps(); }
    Size pixels() const { return high * wide; }

    // Call `each(i, place)` for the `count` pixels from `first` on: where in its channel (height, width) a tap of pixel i
    // looks, or -1 for outside of it.
    template <class Each>
    void look(Size tap, Size first, Size count, Each each) const {
        Size line = first / wide, column = first % wide;
        for (Size i = 0; i < count; line++, column = 0) {
            const Size y = line * stride_y + tap / kernel_x * dilation_y - padding_y;
            for (; column < wide && i < count; column++, i++) {
                const Size x = column * stride_x + tap % kernel_x * dilation_x - padding_x;
                each(i, y >= 0 && y < height && x >= 0 && x < width ? y * width + x : -1);
            }
        }
    }
};

// y (batch, outs, high, wide) of x (batch, ins, height, width) and weight (outs, ins, kernel_y, kernel_x); `columns` has room
// for those of some pixels.
inline void convolve_columns(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y, jittor::Var* columns,
                             Size stride_y, Size stride_x, Size padding_y, Size padding_x, Size dilation_y, Size dilation_x) {
    const Window s(x, weight, y, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x);
    const Size pixels = s.pixels(), deep = s.deep(), room = columns->num / deep;
    float* line = columns->ptr<float>();
    for (Size b = 0; b < x->shape[0]; b++)
        for (Size first = 0; first < pixels; first += room) {
            const Size count = std::min(room, pixels - first);
            float* to = y->ptr<float>() + b * s.outs * pixels + first;
#pragma omp parallel for
            for (Size row = 0; row < deep; row++) {
                const float* plane = x->ptr<float>() + (b * s.ins + row / s.taps()) * s.height * s.width;
                s.look(row % s.taps(), first, count,
                       [=](Size i, Size place) { line[row * count + i] = place < 0 ? 0.0f : plane[place]; });
            }
            for (Size out = 0; out < s.outs && bias; out++)
                std::fill(to + out * pixels, to + out * pixels + count, bias->ptr<float>()[out]);
            blocks('N', 'N', s.outs, count, deep, weight->ptr<float>(), deep, line, count, bias ? 1 : 0, to, pixels, HIGH,
                   ACROSS);
        }
}

inline void convolve_columns(jittor::Var* x, jittor::Var* weight, jittor::Var* y, jittor::Var* columns, Size stride_y,
                             Size stride_x, Size padding_y, Size padding_x, Size dilation_y, Size dilation_x) {
    convolve_columns(x, weight, nullptr, y, columns, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x);
}

// dx of dy: the weight's transpose times the slopes gives the columns', which are added where they come from. `columns` has
// room for those of some pixels.
inline void convolve_columns_grad(jittor::Var* dy, jittor::Var* weight, jittor::Var* dx, jittor::Var* columns, Size stride_y,
                                  Size stride_x, Size padding_y, Size padding_x, Size dilation_y, Size dilation_x) {
    const Window s(dx, weight, dy, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x);
    const Size pixels = s.pixels(), deep = s.deep(), room = columns->num / deep, plane = s.height * s.width;
    const Size stacks = (s.ins + CHANNELS - 1) / CHANNELS;
    std::fill(dx->ptr<float>(), dx->ptr<float>() + dx->num, 0.0f);
    for (Size b = 0; b < dx->shape[0]; b++)
        for (Size first = 0; first < pixels; first += room) {
            const Size count = std::min(room, pixels - first);
            const float* slope = dy->ptr<float>() + b * s.outs * pixels + first;
#pragma omp parallel for
            for (Size stack = 0; stack < stacks; stack++) {
                const Size begin = stack * CHANNELS, channels = std::min(CHANNELS, s.ins - begin);
                float* lines = columns->ptr<float>() + begin * s.taps() * count;
                gemm('T', 'N', channels * s.taps(), count, s.outs, 1, weight->ptr<float>() + begin * s.taps(), deep, slope,
                     pixels, 0, lines, count);
                for (Size row = 0; row < channels * s.taps(); row++) {
                    float* to = dx->ptr<float>() + (b * s.ins + begin + row / s.taps()) * plane;
                    s.look(row % s.taps(), first, count, [=](Size i, Size place) {
                        if (place >= 0) to[place] += lines[row * count + i];
                    });
                }
            }
        }
}

}  // namespace jdart
