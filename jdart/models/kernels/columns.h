// Any other convolution: what each pixel of the result looks at is a column, and the weight (outs, ins * kernel) times the
// columns is the result. A block of pixels at a time, so that the columns stay in the cache.
#pragma once

namespace jdart {

constexpr Size COLUMNS = 128;

struct Window {
    Size stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
};

// y (batch, outs, high, wide) of x (batch, ins, height, width) and weight (outs, ins, kernel_y, kernel_x)
inline void convolve_columns(jittor::Var* x, jittor::Var* weight, const float* bias, jittor::Var* y, Window s) {
    const Size batch = x->shape[0], ins = x->shape[1], height = x->shape[2], width = x->shape[3];
    const Size outs = y->shape[1], wide = y->shape[3], pixels = y->shape[2] * wide;
    const Size kernel_y = weight->shape[2], kernel_x = weight->shape[3], deep = ins * kernel_y * kernel_x;
    const Size blocks = (pixels + COLUMNS - 1) / COLUMNS;
#pragma omp parallel
    {
        std::vector<float> columns(deep * COLUMNS);
#pragma omp for collapse(2)
        for (Size b = 0; b < batch; b++)
            for (Size block = 0; block < blocks; block++) {
                const Size first = block * COLUMNS, count = std::min(COLUMNS, pixels - first);
                for (Size row = 0; row < deep; row++) {
                    const Size tap_y = row / kernel_x % kernel_y, tap_x = row % kernel_x;
                    const float* plane = x->ptr<float>() + (b * ins + row / kernel_x / kernel_y) * height * width;
                    Size line = first / wide, column = first % wide;
                    for (Size i = 0; i < count; line++, column = 0) {
                        const Size at_y = line * s.stride_y + tap_y * s.dilation_y - s.padding_y;
                        const float* from = at_y >= 0 && at_y < height ? plane + at_y * width : nullptr;
                        for (; column < wide && i < count; column++, i++) {
                            const Size at_x = column * s.stride_x + tap_x * s.dilation_x - s.padding_x;
                            columns[row * count + i] = from && at_x >= 0 && at_x < width ? from[at_x] : 0.0f;
                        }
                    }
                }
                float* to = y->ptr<float>() + b * outs * pixels + first;
                for (Size out = 0; out < outs && bias; out++)
                    std::fill(to + out * pixels, to + out * pixels + count, bias[out]);
                gemm('N', 'N', outs, count, deep, 1, weight->ptr<float>(), deep, columns.data(), count, bias ? 1 : 0, to,
                     pixels);
            }
    }
}

inline void convolve_columns(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y, Size stride_y,
                             Size stride_x, Size padding_y, Size padding_x, Size dilation_y, Size dilation_x) {
    convolve_columns(x, weight, bias->ptr<float>(), y, {stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x});
}

inline void convolve_columns(jittor::Var* x, jittor::Var* weight, jittor::Var* y, Size stride_y, Size stride_x,
                             Size padding_y, Size padding_x, Size dilation_y, Size dilation_x) {
    convolve_columns(x, weight, static_cast<const float*>(nullptr), y,
                     {stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x});
}

}  // namespace jdart
