// GEGLU: (..., 2n) holds values, then gates; y = value * gelu(gate) with the exact GELU.
#pragma once

namespace jdart {

// The error function as the compiler can do it for many numbers at once: a quotient of polynomials, within 5e-7.
// Coefficients: Eigen, generic_fast_erf_float.
inline float erf(float number) {
    const float x = std::min(std::max(number, -4.0f), 4.0f), s = x * x;
    float p = -2.72614225801306e-10f * s + 2.77068142495902e-08f;
    for (float next : {-2.10102402082508e-06f, -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f,
                       -1.60960333262415e-02f})
        p = p * s + next;
    float q = -1.45660718464996e-05f * s - 2.13374055278905e-04f;
    for (float next : {-1.68282697438203e-03f, -7.37332916720468e-03f, -1.42647390514189e-02f}) q = q * s + next;
    return std::min(std::max(x * p / q, -1.0f), 1.0f);
}

inline float normal_cdf(float x) { return 0.5f * (1 + erf(x * float(M_SQRT1_2))); }

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
