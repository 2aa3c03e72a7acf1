// Twice the height and width: every pixel four times, and in the gradient the sum of the four.
#pragma once

namespace jdart {

inline void enlarge(jittor::Var* x, jittor::Var* y) {
    const Size width = x->shape[3], rows = x->num / width;
#pragma omp parallel for
    for (Size row = 0; row < rows; row++) {
        const float* from = x->ptr<float>() + row * width;
        float* to = y->ptr<float>() + row * 4 * width;  // two rows of twice the width
        for (Size i = 0; i < width; i++) to[2 * i] = to[2 * i + 1] = from[i];
        std::copy(to, to + 2 * width, to + 2 * width);
    }
}

inline void enlarge_grad(jittor::Var* dy, jittor::Var* dx) {
    const Size width = dx->shape[3], rows = dx->num / width;
#pragma omp parallel for
    for (Size row = 0; row < rows; row++) {
        const float *from = dy->ptr<float>() + row * 4 * width, *below = from + 2 * width;
        float* to = dx->ptr<float>() + row * width;
        for (Size i = 0; i < width; i++) to[i] = from[2 * i] + from[2 * i + 1] + below[2 * i] + below[2 * i + 1];
    }
}

}  // namespace jdart
