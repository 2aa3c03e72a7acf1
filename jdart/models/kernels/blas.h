// Products of row-major matrices through oneDNN, cut into blocks so that the result does not depend on the number of threads.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

extern "C" int dnnl_sgemm(char transa, char transb, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
                          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc);

namespace jdart {

using Size = int64_t;

// c (m, n) = alpha * a (m, k) * b (k, n) + beta * c; 'T' means stored transposed; ld is the distance of rows in memory.
// Called inside a parallel region it uses the calling thread alone.
inline void gemm(char ta, char tb, Size m, Size n, Size k, float alpha, const float* a, Size lda, const float* b, Size ldb,
                 float beta, float* c, Size ldc) {
    dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

// c = a * b + beta * c on all threads, in blocks of `high` x `wide` results.
inline void blocks(char ta, char tb, Size m, Size n, Size k, const float* a, Size lda, const float* b, Size ldb, float beta,
                   float* c, Size ldc, Size high, Size wide) {
#pragma omp parallel for collapse(2)
    for (Size i = 0; i < m; i += high)
        for (Size j = 0; j < n; j += wide)
            gemm(ta, tb, std::min(high, m - i), std::min(wide, n - j), k, 1, a + (ta == 'T' ? i : i * lda), lda,
                 b + (tb == 'T' ? j * ldb : j), ldb, beta, c + i * ldc + j, ldc);
}

}  // namespace jdart
