// Convolutions of 1x1 with stride 1: the weight (outs, ins) times each picture (ins, pixels), and the weight's own gradient.
#pragma once

namespace jdart {

constexpr Size SIDE = 64;                            // of a block of the weight's gradient
constexpr Size HIGH = 12 * ROWS, ACROSS = 8 * WIDE;  // outputs and pixels of a block of results

// y (batch, outs, pixels) = weight * x (batch, ins, pixels) + bias
inline void pointwise(jittor::Var* x, jittor::Var* weight, const float* bias, jittor::Var* y) {
    const Size batch = x->shape[0], ins = x->shape[1], outs = y->shape[1], pixels = x->num / batch / ins;
    const Size blocks = (pixels + ACROSS - 1) / ACROSS;
    const float *from = x->ptr<float>(), *w = weight->ptr<float>();
#pragma omp parallel
    {
        static thread_local std::vector<float> packed;
        packed.resize(std::min(DEEP, ins) * ACROSS);
#pragma omp for collapse(2)
        for (Size b = 0; b < batch; b++)
            for (Size block = 0; block < blocks; block++) {
                const Size first = block * ACROSS, here = std::min(ACROSS, pixels - first), groups = (here + WIDE - 1) / WIDE;
                float* to = y->ptr<float>() + b * outs * pixels + first;
                for (Size out = 0; out < outs; out++)
                    std::fill(to + out * pixels, to + out * pixels + here, bias ? bias[out] : 0.0f);
                for (Size k = 0; k < ins; k += DEEP) {
                    const Size depth = std::min(DEEP, ins - k);
                    for (Size g = 0; g < groups; g++)
                        pack('N', from + (b * ins + k) * pixels + first + g * WIDE, pixels, depth,
                             std::min(WIDE, here - g * WIDE), packed.data() + g * depth * WIDE);
                    for (Size out = 0; out < outs; out += HIGH)
                        for (Size g = 0; g < groups; g++)
                            multiply(std::min(HIGH, outs - out), w + out * ins + k, ins, packed.data() + g * depth * WIDE,
                                     depth, nullptr, to + out * pixels + g * WIDE, pixels, std::min(WIDE, here - g * WIDE));
                }
            }
    }
}

inline void pointwise(jittor::Var* x, jittor::Var* weight, jittor::Var* bias, jittor::Var* y) {
    pointwise(x, weight, bias->ptr<float>(), y);
}

inline void pointwise(jittor::Var* x, jittor::Var* weight, jittor::Var* y) {
    pointwise(x, weight, static_cast<const float*>(nullptr), y);
}

inline void pointwise_grad_weight(jittor::Var* dy, jittor::Var* x, jittor::Var* dweight) {
    const Size batch = x->shape[0], ins = x->shape[1], outs = dy->shape[1], pixels = x->num / batch / ins;
    for (Size b = 0; b < batch; b++)
        blocks('N', 'T', outs, ins, pixels, dy->ptr<float>() + b * outs * pixels, pixels, x->ptr<float>() + b * ins * pixels,
               pixels, b ? 1 : 0, dweight->ptr<float>(), ins, SIDE, SIDE);
}

}  // namespace jdart
