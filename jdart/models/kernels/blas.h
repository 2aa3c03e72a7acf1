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

}  // namespace jdart
