// Group norm (with an optional SiLU after it) and layer norm; gain and offset are frozen, so only x has a gradient.
// Two passes for the variance: E[x^2] - E[x]^2 loses precision when the mean is large.
#pragma once

namespace jdart {

constexpr Size CHUNK = 4096;  // summed in float, the chunks in double

template <class Term>
inline double total(Size n, Term term) {
    double sum = 0;
    for (Size first = 0; first < n; first += CHUNK) {
        const Size last = std::min(first + CHUNK, n);
        float part = 0;
        for (Size i = first; i < last; i++) part += term(i);
        sum += part;
    }
    return sum;
}

struct Moments {
    float mean, scale;  // scale is one over the standard deviation

    Moments(const float* x, Size n, float eps) {
        const float centre = total(n, [=](Size i) { return x[i]; }) / n;
        mean = centre;
        scale = 1 / std::sqrt(total(n, [=](Size i) { return (x[i] - centre) * (x[i] - centre); }) / n + eps);
    }
};

// x (B, C, ...)
inline void group_norm(jittor::Var* x, jittor::Var* gain, jittor::Var* offset, jittor::Var* y, Size groups, float eps,
                       bool silu) {
    const Size channels = x->shape[1], each = channels / groups, cells = x->num / x->shape[0] / channels;
#pragma omp parallel for
    for (Size group = 0; group < x->shape[0] * groups; group++) {
        const Moments m(x->ptr<float>() + group * each * cells, each * cells, eps);
        for (Size c = 0; c < each; c++) {
            const Size channel = group % groups * each + c, at = (group * each + c) * cells;
            const float a = m.scale * gain->ptr<float>()[channel], b = offset->ptr<float>()[channel];
            const float* from = x->ptr<float>() + at;
            float* to = y->ptr<float>() + at;
            for (Size i = 0; i < cells; i++) to[i] = (from[i] - m.mean) * a + b;
            if (silu)
                for (Size i = 0; i < cells; i++) to[i] /= 1 + std::exp(-to[i]);
        }
    }
}

inline void group_norm_grad(jittor::Var* x, jittor::Var* gain, jittor::Var* offset, jittor::Var* dy, jittor::Var* dx,
                            Size groups, float eps, bool silu) {
    const Size channels = x->shape[1], each = channels / groups, cells = x->num / x->shape[0] / channels;
#pragma omp parallel for
    for (Size group = 0; group < x->shape[0] * groups; group++) {
        const Size start = group * each * cells;
        const float *from = x->ptr<float>() + start, *above = dy->ptr<float>() + start;
        float* to = dx->ptr<float>() + start;  // first the gradient of the normalised value
        const Moments m(from, each * cells, eps);
        for (Size c = 0; c < each; c++) {
            const Size channel = group % groups * each + c, last = (c + 1) * cells;
            const float a = gain->ptr<float>()[channel], b = offset->ptr<float>()[channel];
            if (silu)
                for (Size i = c * cells; i < last; i++) {
                    const float z = (from[i] - m.mean) * m.scale * a + b, s = 1 / (1 + std::exp(-z));
                    to[i] = above[i] * a * s * (1 + z * (1 - s));
                }
            else
                for (Size i = c * cells; i < last; i++) to[i] = above[i] * a;
        }
        const Size n = each * cells;
        const float level = total(n, [=](Size i) { return to[i]; }) / n;
        const float slope = total(n, [=](Size i) { return to[i] * ((from[i] - m.mean) * m.scale); }) / n;
        for (Size i = 0; i < n; i++) to[i] = m.scale * (to[i] - level - (from[i] - m.mean) * m.scale * slope);
    }
}

// x (..., C), a row at a time
inline void layer_norm(jittor::Var* x, jittor::Var* gain, jittor::Var* offset, jittor::Var* y, float eps) {
    const Size n = gain->num;
    const float *a = gain->ptr<float>(), *b = offset->ptr<float>();
#pragma omp parallel for
    for (Size row = 0; row < x->num / n; row++) {
        const float* from = x->ptr<float>() + row * n;
        float* to = y->ptr<float>() + row * n;
        const Moments m(from, n, eps);
        for (Size i = 0; i < n; i++) to[i] = (from[i] - m.mean) * m.scale * a[i] + b[i];
    }
}

inline void layer_norm_grad(jittor::Var* x, jittor::Var* gain, jittor::Var* dy, jittor::Var* dx, float eps) {
    const Size n = gain->num;
    const float* a = gain->ptr<float>();
#pragma omp parallel for
    for (Size row = 0; row < x->num / n; row++) {
        const float *from = x->ptr<float>() + row * n, *above = dy->ptr<float>() + row * n;
        float* to = dx->ptr<float>() + row * n;
        const Moments m(from, n, eps);
        const float level = total(n, [=](Size i) { return above[i] * a[i]; }) / n;
        const float slope = total(n, [=](Size i) { return above[i] * a[i] * ((from[i] - m.mean) * m.scale); }) / n;
        for (Size i = 0; i < n; i++)
            to[i] = m.scale * (above[i] * a[i] - level - (from[i] - m.mean) * m.scale * slope);
    }
}

}  // namespace jdart
