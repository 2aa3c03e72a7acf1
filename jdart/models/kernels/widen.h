// Numbers kept in float16 as float32, which is exact.
#pragma once
#ifdef __F16C__
#include <immintrin.h>
#endif

namespace jdart {

inline float widened(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000) << 16, rest = half & 0x7fff;
    union {
        uint32_t bits;
        float number;
    } found;
    if (rest >= 0x7c00)  // infinite, or not a number
        found.bits = 0x7f800000 | (rest & 0x3ff) << 13;
    else if (rest >= 0x400)
        found.bits = (rest << 13) + (uint32_t(127 - 15) << 23);
    else
        found.number = rest * (1.0f / (1 << 24));  // too small for an exponent of its own
    found.bits |= sign;
    return found.number;
}

// `ready` is not read: Jittor computes what needs it after it, so that no weight is widened long before its turn.
inline void widen(jittor::Var* kept, jittor::Var* ready, jittor::Var* wide) {
    constexpr Size PART = 1 << 14;
    const Size count = kept->num;
    const uint16_t* from = kept->ptr<uint16_t>();
    float* to = wide->ptr<float>();
#pragma omp parallel for
    for (Size first = 0; first < count; first += PART) {
        const Size last = std::min(first + PART, count);
        Size i = first;
#ifdef __F16C__
        for (; i + 8 <= last; i += 8)
            _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
#endif
        for (; i < last; i++) to[i] = widened(from[i]);
    }
}

}  // namespace jdart
