// GEGLU: (..., 2n) holds values, then gates; y = value * gelu(gate) with the exact GELU.
#pragma once

namespace jdart {

inline float normal_cdf(float x) { return 0.5f * (1 + std::erf(x * float(M_SQRT1_2))); }

inline void geglu(jittor::Var* x, jittor::Var* y) {
    const Size n = y->shape[y->shape.size() - 1];
#pragma omp parallel for
    for (Size row = 0; row < y->num / n; row++) {
        const float *value = x->ptr<float>() + 2 * row * n, *gate = value + n;
        float* to = y->ptr<float>() + row * n;
        for (Size i = 0; i < n; i++) to[i] = value[i] * gate[i] * normal_cdf(gate[i]);
    }
}

inline void geglu_grad(jittor::Var* x, jittor::Var* dy, jittor::Var* dx) {
    const Size n = dy->shape[dy->shape.size() - 1];
#pragma omp parallel for
    for (Size row = 0; row < dy->num / n; row++) {
        const float *value = x->ptr<float>() + 2 * row * n, *gate = value + n, *above = dy->ptr<float>() + row * n;
        float *dvalue = dx->ptr<float>() + 2 * row * n, *dgate = dvalue + n;
        for (Size i = 0; i < n; i++) {
            const float g = gate[i], cdf = normal_cdf(g), density = 0.3989422804f * std::exp(-0.5f * g * g);
            dvalue[i] = above[i] * g * cdf;
            dgate[i] = above[i] * value[i] * (cdf + g * density);
        }
    }
}

}  // namespace jdart
