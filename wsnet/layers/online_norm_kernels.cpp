// Online normalization (Chiley et al. 2019, arXiv 1905.05894) for CPUs: every tensor is read from memory once a direction.
//
// Shapes: N samples, C channels, D pixels. x, out, grad: (N, C, D), or (N, D, C) where channels_last. The samples are
// walked in chunks that stay in the cache: moments of the chunk, recurrences over its samples, output of the chunk.
// Sums are taken per sample and channel in a fixed order, so that the bits do not depend on the number of threads.
// Elements are float or bfloat16, sums of at most a few thousand elements float, everything per (N, C) double.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <algorithm>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

struct bf16 { uint16_t bits; };
constexpr int W = 16;
typedef float V __attribute__((vector_size(4 * W)));
typedef uint32_t U __attribute__((vector_size(4 * W)));
typedef uint16_t H __attribute__((vector_size(2 * W)));

inline V load(const float* p) { V v; std::memcpy(&v, p, sizeof v); return v; }
inline V load(const bf16* p) {
    H h; std::memcpy(&h, p, sizeof h);
    U u = __builtin_convertvector(h, U) << 16;
    V v; std::memcpy(&v, &u, sizeof v); return v;
}
inline float load1(const float* p) { return *p; }
inline float load1(const bf16* p) { uint32_t u = uint32_t(p->bits) << 16; float f; std::memcpy(&f, &u, 4); return f; }
inline void store(float* p, V v) { std::memcpy(p, &v, sizeof v); }
inline void store(bf16* p, V v) {  // Round to nearest, ties to even.
    U u; std::memcpy(&u, &v, sizeof u);
    U rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    U is_nan = (u & 0x7fffffff) > 0x7f800000;
    H h = __builtin_convertvector((rounded & ~is_nan) | (is_nan & 0x7fc0), H);
    std::memcpy(p, &h, sizeof h);
}
inline void store1(float* p, float f) { *p = f; }
inline void store1(bf16* p, float f) {
    uint32_t u; std::memcpy(&u, &f, 4);
    p->bits = (u & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
inline V set(float f) { return V{} + f; }
inline float total(V v) { float s = 0; for (int i = 0; i < W; ++i) s += v[i]; return s; }

}  // namespace

// Field for field `Problem` in online_norm_kernels.py. Per-channel arrays are float, or double where the flag says so.
struct Problem {
    int64_t N, C, D, group, chunk, tile;
    int32_t channels_last, is_bf16, threads, double_state, double_affine, scaled, clamped, frozen, update;
    double forward_decay, backward_decay, eps, scale_eps, clamp;
    const void *x, *grad;      // (N, C, D)
    void* out;                 // (N, C, D): the output, or the gradient of the input
    const void *weight, *bias; // (C,) or null
    const double *forward_decays, *backward_decays;  // (C,) or null
    void *mean, *var, *u, *v;  // (C,): the state; forward moves mean and var, backward u and v
    double* stats;             // (4, N, C): mean, variance, 1 / s, d of each sample
    double* zeta;              // (N, C / group)
    void *grad_weight, *grad_bias;  // (C,), like weight
};

namespace {

struct Range { int64_t begin, end; };
inline Range share(int64_t count, int thread, int threads) { return {count * thread / threads, count * (thread + 1) / threads}; }

std::vector<double> values(const void* p, bool is_double, int64_t C, double absent) {
    std::vector<double> result(C, absent);
    for (int64_t c = 0; p && c < C; ++c) result[c] = is_double ? ((const double*)p)[c] : double(((const float*)p)[c]);
    return result;
}

// The new state is kept only where all of it is finite: one bad step must not spoil all that follow.
void keep(void* p, void* q, bool is_double, const std::vector<double>& a, const std::vector<double>& b) {
    bool finite = true;
    const size_t C = a.size();
    for (size_t c = 0; c < C; ++c)
        finite &= is_double ? std::isfinite(a[c]) && std::isfinite(b[c]) : std::isfinite(float(a[c])) && std::isfinite(float(b[c]));
    for (size_t c = 0; finite && c < C; ++c) {
        if (is_double) { ((double*)p)[c] = a[c]; ((double*)q)[c] = b[c]; }
        else { ((float*)p)[c] = float(a[c]); ((float*)q)[c] = float(b[c]); }
    }
}

// ---- Sums over pixels. A `Term` adds one vector of pixels to its two sums.

struct Sum { template <class T> static void add(const T* x, const T*, V, V, V, V, V& a, V&) { a += load(x); }
             template <class T> static void add1(const T* x, const T*, float, float, float, float, float& a, float&) { a += load1(x); } };
struct Deviation {
    template <class T> static void add(const T* x, const T*, V k, V, V, V, V& a, V& b) { V e = load(x) - k; a += e; b += e * e; }
    template <class T> static void add1(const T* x, const T*, float k, float, float, float, float& a, float& b) {
        float e = load1(x) - k; a += e; b += e * e; }
};
struct Gradient {
    template <class T> static void add(const T* x, const T* g, V k, V, V, V, V& a, V& b) { V y = load(g); a += y; b += y * (load(x) - k); }
    template <class T> static void add1(const T* x, const T* g, float k, float, float, float, float& a, float& b) {
        float y = load1(g); a += y; b += y * (load1(x) - k); }
};
inline V unclipped(V g, V e, V scale, V shift, V limit) {
    V z = e * scale + shift;
    U inside = (U)(z < limit) & (U)(z > -limit), bits;
    std::memcpy(&bits, &g, sizeof g); bits &= inside; std::memcpy(&g, &bits, sizeof g);
    return g;
}
struct ClippedGradient {
    template <class T> static void add(const T* x, const T* g, V k, V scale, V shift, V limit, V& a, V& b) {
        V e = load(x) - k, y = unclipped(load(g), e, scale, shift, limit); a += y; b += y * e; }
    template <class T> static void add1(const T* x, const T* g, float k, float scale, float shift, float limit, float& a, float& b) {
        float e = load1(x) - k, z = e * scale + shift, y = z < limit && z > -limit ? load1(g) : 0; a += y; b += y * e; }
};

// Over the D pixels of one channel (contiguous), in blocks short enough for float sums.
template <class Term, class T>
void sum_row(const T* x, const T* g, int64_t D, float k, float scale, float shift, float limit, double& A, double& B) {
    A = B = 0;
    for (int64_t start = 0; start < D; start += 4096) {
        const int64_t end = std::min(start + 4096, D);
        V a0{}, a1{}, a2{}, a3{}, b0{}, b1{}, b2{}, b3{};
        const V K = set(k), S = set(scale), Q = set(shift), L = set(limit);
        int64_t i = start;
        for (; i + 4 * W <= end; i += 4 * W) {
            Term::add(x + i, g + i, K, S, Q, L, a0, b0);
            Term::add(x + i + W, g + i + W, K, S, Q, L, a1, b1);
            Term::add(x + i + 2 * W, g + i + 2 * W, K, S, Q, L, a2, b2);
            Term::add(x + i + 3 * W, g + i + 3 * W, K, S, Q, L, a3, b3);
        }
        for (; i + W <= end; i += W) Term::add(x + i, g + i, K, S, Q, L, a0, b0);
        float a = total(a0 + a1 + (a2 + a3)), b = total(b0 + b1 + (b2 + b3));
        for (; i < end; ++i) Term::add1(x + i, g + i, k, scale, shift, limit, a, b);
        A += a; B += b;
    }
}

// Over R pixels of all channels (channels_last); the arrays are (C,).
template <class Term, int NV, int RU, class T>
inline void sum_columns(const T* x, const T* g, int64_t R, int64_t C, int64_t c, const float* k, const float* scale,
                        const float* shift, float limit, float* A, float* B) {
    V a[RU][NV] = {}, b[RU][NV] = {}, K[NV], S[NV], Q[NV];
    const V L = set(limit);
    for (int v = 0; v < NV; ++v) { K[v] = load(k + c + v * W); S[v] = load(scale + c + v * W); Q[v] = load(shift + c + v * W); }
    int64_t r = 0;
    for (; r + RU <= R; r += RU)
        for (int i = 0; i < RU; ++i)
            for (int v = 0; v < NV; ++v) {
                const int64_t at = (r + i) * C + c + v * W;
                Term::add(x + at, g + at, K[v], S[v], Q[v], L, a[i][v], b[i][v]);
            }
    for (; r < R; ++r)
        for (int v = 0; v < NV; ++v) Term::add(x + r * C + c + v * W, g + r * C + c + v * W, K[v], S[v], Q[v], L, a[0][v], b[0][v]);
    for (int v = 0; v < NV; ++v) {
        V p = a[0][v], q = b[0][v];
        for (int i = 1; i < RU; ++i) { p += a[i][v]; q += b[i][v]; }
        store(A + c + v * W, p); store(B + c + v * W, q);
    }
}
template <class Term, class T>
void sum_tile(const T* x, const T* g, int64_t R, int64_t C, const float* k, const float* scale, const float* shift, float limit,
              float* A, float* B) {
    int64_t c = 0;
    for (; c + 4 * W <= C; c += 4 * W) sum_columns<Term, 4, 1>(x, g, R, C, c, k, scale, shift, limit, A, B);
    for (; c + 2 * W <= C; c += 2 * W) sum_columns<Term, 2, 2>(x, g, R, C, c, k, scale, shift, limit, A, B);
    for (; c + W <= C; c += W) sum_columns<Term, 1, 4>(x, g, R, C, c, k, scale, shift, limit, A, B);
    for (; c < C; ++c) {
        float a = 0, b = 0;
        for (int64_t r = 0; r < R; ++r) Term::add1(x + r * C + c, g + r * C + c, k[c], scale[c], shift[c], limit, a, b);
        A[c] = a; B[c] = b;
    }
}

// ---- Elementwise passes.

struct Coefficients { const float *k, *scale, *shift, *gain, *slope, *offset; float limit; };  // per channel
inline V clip(V z, V limit) { z = z > limit ? limit : z; return z < -limit ? -limit : z; }
inline float clip(float z, float limit) { z = z > limit ? limit : z; return z < -limit ? -limit : z; }

template <bool clamped> struct Output {  // (x - k) * scale + shift
    V k, scale, shift, limit; float k1, scale1, shift1, limit1;
    Output() = default;
    Output(const Coefficients& f, int64_t c) : k1(f.k[c]), scale1(f.scale[c]), shift1(f.shift[c]), limit1(f.limit) {}
    void broadcast() { k = set(k1); scale = set(scale1); shift = set(shift1); limit = set(limit1); }
    void vector(const Coefficients& f, int64_t c) { k = load(f.k + c); scale = load(f.scale + c); shift = load(f.shift + c); limit = set(f.limit); }
    template <class T> void one(const T* x, const T*, T* out) const { float z = (load1(x) - k1) * scale1 + shift1; store1(out, clamped ? clip(z, limit1) : z); }
    template <class T> void many(const T* x, const T*, T* out) const { V z = (load(x) - k) * scale + shift; store(out, clamped ? clip(z, limit) : z); }
};
template <bool clamped> struct Input {  // gain * grad + slope * (x - k) + offset
    V k, scale, shift, gain, slope, offset, limit; float k1, scale1, shift1, gain1, slope1, offset1, limit1;
    Input() = default;
    Input(const Coefficients& f, int64_t c)
        : k1(f.k[c]), scale1(f.scale[c]), shift1(f.shift[c]), gain1(f.gain[c]), slope1(f.slope[c]), offset1(f.offset[c]), limit1(f.limit) {}
    void broadcast() { k = set(k1); scale = set(scale1); shift = set(shift1); gain = set(gain1); slope = set(slope1); offset = set(offset1); limit = set(limit1); }
    void vector(const Coefficients& f, int64_t c) {
        k = load(f.k + c); gain = load(f.gain + c); slope = load(f.slope + c); offset = load(f.offset + c); limit = set(f.limit);
        if (clamped) { scale = load(f.scale + c); shift = load(f.shift + c); }
    }
    template <class T> void one(const T* x, const T* g, T* out) const {
        float e = load1(x) - k1, z = e * scale1 + shift1, y = !clamped || (z < limit1 && z > -limit1) ? load1(g) : 0;
        store1(out, gain1 * y + (slope1 * e + offset1));
    }
    template <class T> void many(const T* x, const T* g, T* out) const {
        V e = load(x) - k, y = load(g);
        if (clamped) y = unclipped(y, e, scale, shift, limit);
        store(out, gain * y + (slope * e + offset));
    }
};
template <class Pass, class T> void map_row(const T* x, const T* g, T* out, int64_t D, const Coefficients& f, int64_t at) {
    Pass pass(f, at);
    pass.broadcast();
    int64_t i = 0;
    for (; i + W <= D; i += W) pass.many(x + i, g + i, out + i);
    for (; i < D; ++i) pass.one(x + i, g + i, out + i);
}
template <class Pass, int NV, class T>
inline void map_columns(const T* x, const T* g, T* out, int64_t R, int64_t C, int64_t c, const Coefficients& f, int64_t at) {
    Pass pass[NV];
    for (int v = 0; v < NV; ++v) pass[v].vector(f, at + c + v * W);
    for (int64_t r = 0; r < R; ++r)
        for (int v = 0; v < NV; ++v) { const int64_t i = r * C + c + v * W; pass[v].many(x + i, g + i, out + i); }
}
template <class Pass, class T> void map_tile(const T* x, const T* g, T* out, int64_t R, int64_t C, const Coefficients& f, int64_t at) {
    int64_t c = 0;
    for (; c + 4 * W <= C; c += 4 * W) map_columns<Pass, 4>(x, g, out, R, C, c, f, at);  // Whole lines of memory at a time.
    for (; c + 2 * W <= C; c += 2 * W) map_columns<Pass, 2>(x, g, out, R, C, c, f, at);
    for (; c + W <= C; c += W) map_columns<Pass, 1>(x, g, out, R, C, c, f, at);
    for (; c < C; ++c) {
        Pass pass(f, at + c);
        for (int64_t r = 0; r < R; ++r) pass.one(x + r * C + c, g + r * C + c, out + r * C + c);
    }
}

// ---- Items of work of a chunk: rows (sample, channel), or tiles (sample, pixels) of all channels where channels_last.

struct Items {
    const Problem& p; int64_t tiles, per_sample;
    explicit Items(const Problem& p) : p(p), tiles(p.channels_last ? (p.D + p.tile - 1) / p.tile : 1), per_sample(p.channels_last ? tiles : p.C) {}
    int64_t pixels(int64_t tile) const { return std::min(p.tile, p.D - tile * p.tile); }
};

template <class Pass, class T> void map(const Items& items, Range r, int64_t first, const Coefficients& f) {
    const Problem& p = items.p;
    const int64_t CD = p.C * p.D;
    const T *x = (const T*)p.x + first * CD, *g = (const T*)(p.grad ? p.grad : p.x) + first * CD;
    T* out = (T*)p.out + first * CD;
    for (int64_t i = r.begin; i < r.end; ++i) {
        if (!p.channels_last) { map_row<Pass>(x + i * p.D, g + i * p.D, out + i * p.D, p.D, f, i); continue; }
        const int64_t n = i / items.tiles, t = i % items.tiles, at = n * CD + t * p.tile * p.C;
        map_tile<Pass>(x + at, g + at, out + at, items.pixels(t), p.C, f, n * p.C);
    }
}

template <class T> void moments(const Items& items, Range r, int64_t first, double* mean, double* variance, float* tile_mean, float* tile_m2, float* scratch) {
    const Problem& p = items.p;
    const int64_t C = p.C, D = p.D;
    const T* x = (const T*)p.x + first * C * D;
    for (int64_t i = r.begin; i < r.end; ++i) {
        if (!p.channels_last) {
            double a = load1(x + i * D), b = 0, unused;
            const T* row = x + i * D;
            if (D > 1) {
                sum_row<Sum>(row, row, D, 0, 0, 0, 0, a, unused);
                const float k = float(a / D);
                sum_row<Deviation>(row, row, D, k, 0, 0, 0, a, b);
                a /= D; b = std::max(b / D - a * a, 0.0); a += k;
            }
            mean[i] = a; variance[i] = b;
            continue;
        }
        const int64_t n = i / items.tiles, t = i % items.tiles, R = items.pixels(t);
        const T* tile = x + n * C * D + t * p.tile * C;
        float *k = scratch, *a = tile_mean + i * C, *b = tile_m2 + i * C;
        sum_tile<Sum>(tile, tile, R, C, k, k, k, 0, a, b);
        for (int64_t c = 0; c < C; ++c) k[c] = a[c] / R;
        if (R > 1) sum_tile<Deviation>(tile, tile, R, C, k, k, k, 0, a, b);
        else for (int64_t c = 0; c < C; ++c) a[c] = b[c] = 0;
        for (int64_t c = 0; c < C; ++c) { const float e = a[c] / R; b[c] = std::max(b[c] - e * a[c], 0.f); a[c] = k[c] + e; }
    }
}

template <class Term, class T> void gradient_sums(const Items& items, Range r, int64_t first, const Coefficients& f, double* g1, double* g2, float* a, float* b) {
    const Problem& p = items.p;
    const int64_t C = p.C, D = p.D;
    const T *x = (const T*)p.x + first * C * D, *g = (const T*)p.grad + first * C * D;
    for (int64_t i = r.begin; i < r.end; ++i) {
        if (!p.channels_last) { sum_row<Term>(x + i * D, g + i * D, D, f.k[i], f.scale[i], f.shift[i], f.limit, g1[i], g2[i]); continue; }
        const int64_t n = i / items.tiles, t = i % items.tiles, at = n * C * D + t * p.tile * C, o = n * C;
        sum_tile<Term>(x + at, g + at, items.pixels(t), C, f.k + o, f.scale + o, f.shift + o, f.limit, a + i * C, b + i * C);
    }
}

template <class Body> void in_parallel(int threads, Body body) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    body(omp_get_thread_num(), omp_get_num_threads());
#else
    body(0, 1);
#endif
}
inline void barrier() {
#ifdef _OPENMP
#pragma omp barrier
#endif
}

template <class T> void forward(const Problem& p) {
    const int64_t N = p.N, C = p.C, D = p.D, groups = C / p.group, chunk = std::min(p.chunk, N);
    const Items items(p);
    auto m = values(p.mean, p.double_state, C, 0), var = values(p.var, p.double_state, C, 1);
    const auto weight = values(p.weight, p.double_affine, C, 1), bias = values(p.bias, p.double_affine, C, 0);
    double *mean = p.stats, *variance = mean + N * C, *inverse = variance + N * C, *d = inverse + N * C;
    std::vector<float> tile_mean(p.channels_last ? chunk * items.tiles * C : 0), tile_m2(tile_mean.size());
    std::vector<float> k(chunk * C), scale(chunk * C), shift(chunk * C);
    const Coefficients f{k.data(), scale.data(), shift.data(), nullptr, nullptr, nullptr, float(p.clamp)};
    in_parallel(p.threads, [&](int thread, int threads) {
        std::vector<float> scratch(C);
        const Range channels = share(C, thread, threads);
        for (int64_t first = 0; first < N; first += chunk) {
            const int64_t count = std::min(chunk, N - first), at = first * C;
            // Whole samples for each thread save barriers; few samples are shared out in pieces.
            const bool whole = count % threads == 0 || count >= 4 * threads;
            const Range samples = share(count, thread, threads), pieces = share(count * items.per_sample, thread, threads);
            const Range work = whole ? Range{samples.begin * items.per_sample, samples.end * items.per_sample} : pieces;
            moments<T>(items, work, first, mean + at, variance + at, tile_mean.data(), tile_m2.data(), scratch.data());
            barrier();
            for (int64_t n = 0; n < count; ++n) {  // The recurrences: statistics are used, then updated.
                double *mu = mean + at + n * C, *V = variance + at + n * C, *inv = inverse + at + n * C, *e = d + at + n * C;
                if (p.channels_last) {
                    const float *a = tile_mean.data() + n * items.tiles * C, *b = tile_m2.data() + n * items.tiles * C;
                    for (int64_t c = channels.begin; c < channels.end; ++c) mu[c] = V[c] = 0;
                    for (int64_t t = 0; t < items.tiles; ++t)
                        for (int64_t c = channels.begin; c < channels.end; ++c) mu[c] += items.pixels(t) * double(a[t * C + c]);
                    for (int64_t c = channels.begin; c < channels.end; ++c) mu[c] /= D;
                    for (int64_t t = 0; t < items.tiles; ++t)
                        for (int64_t c = channels.begin; c < channels.end; ++c) {
                            const double q = a[t * C + c] - mu[c]; V[c] += b[t * C + c] + items.pixels(t) * q * q; }
                    for (int64_t c = channels.begin; c < channels.end; ++c) V[c] /= D;
                }
                for (int64_t c = channels.begin; c < channels.end; ++c) { e[c] = mu[c] - m[c]; inv[c] = 1 / std::sqrt(var[c] + p.eps); }
                if (p.frozen) continue;
                for (int64_t c = channels.begin; c < channels.end; ++c) {
                    const double a = p.forward_decays ? p.forward_decays[c] : p.forward_decay;
                    var[c] = a * var[c] + (1 - a) * V[c] + a * (1 - a) * e[c] * e[c];
                    m[c] += (1 - a) * e[c];
                }
            }
            barrier();
            for (int64_t n = samples.begin; n < samples.end; ++n) {  // The coefficients, layer scaling in them.
                const double *mu = mean + at + n * C, *V = variance + at + n * C, *inv = inverse + at + n * C, *e = d + at + n * C;
                for (int64_t g = 0; g < groups; ++g) {
                    const int64_t begin = g * p.group, end = begin + p.group;
                    double square = 0;
                    for (int64_t c = begin; p.scaled && c < end; ++c) {
                        const double q = weight[c] * inv[c], z = q * e[c] + bias[c]; square += q * q * V[c] + z * z; }
                    const double zeta = p.scaled ? std::sqrt(square / p.group + p.scale_eps) : 1;
                    p.zeta[(first + n) * groups + g] = zeta;
                    for (int64_t c = begin; c < end; ++c) {
                        const double q = weight[c] * inv[c]; const float center = float(mu[c]);
                        k[n * C + c] = center; scale[n * C + c] = float(q / zeta);
                        shift[n * C + c] = float((q * (e[c] + (center - mu[c])) + bias[c]) / zeta);
                    }
                }
            }
            if (!whole) barrier();
            if (p.clamped) map<Output<true>, T>(items, work, first, f); else map<Output<false>, T>(items, work, first, f);
            if (first + chunk < N) barrier();
        }
    });
    if (p.update && !p.frozen) keep(p.mean, p.var, p.double_state, m, var);
}

template <class T> void backward(const Problem& p) {
    const int64_t N = p.N, C = p.C, D = p.D, groups = C / p.group, chunk = std::min(p.chunk, N);
    const Items items(p);
    auto u = values(p.u, p.double_state, C, 0), v = values(p.v, p.double_state, C, 0);
    const auto weight = values(p.weight, p.double_affine, C, 1), bias = values(p.bias, p.double_affine, C, 0);
    const double *mean = p.stats, *variance = mean + N * C, *inverse = variance + N * C, *d = inverse + N * C;
    std::vector<float> a(p.channels_last ? chunk * items.tiles * C : 0), b(a.size());
    std::vector<double> g1(chunk * C), g2(chunk * C), P(chunk * groups), grad_weight(C), grad_bias(C);
    std::vector<float> k(chunk * C), scale(chunk * C), shift(chunk * C), gain(chunk * C), slope(chunk * C), offset(chunk * C);
    const Coefficients f{k.data(), scale.data(), shift.data(), gain.data(), slope.data(), offset.data(), float(p.clamp)};
    in_parallel(p.threads, [&](int thread, int threads) {
        const Range channels = share(C, thread, threads);
        for (int64_t first = 0; first < N; first += chunk) {
            const int64_t count = std::min(chunk, N - first), at = first * C;
            // Whole samples for each thread save barriers; few samples are shared out in pieces.
            const bool whole = count % threads == 0 || count >= 4 * threads;
            const Range samples = share(count, thread, threads), pieces = share(count * items.per_sample, thread, threads);
            const Range work = whole ? Range{samples.begin * items.per_sample, samples.end * items.per_sample} : pieces;
            for (int64_t n = samples.begin; n < samples.end; ++n)
                for (int64_t c = 0; c < C; ++c) {
                    const int64_t i = at + n * C + c; const double q = weight[c] * inverse[i]; const float center = float(mean[i]);
                    k[n * C + c] = center; scale[n * C + c] = float(q); shift[n * C + c] = float(q * (d[i] + (center - mean[i])) + bias[c]);
                }
            if (!whole) barrier();
            if (p.clamped) gradient_sums<ClippedGradient, T>(items, work, first, f, g1.data(), g2.data(), a.data(), b.data());
            else gradient_sums<Gradient, T>(items, work, first, f, g1.data(), g2.data(), a.data(), b.data());
            if (!whole) barrier();
            for (int64_t n = samples.begin; n < samples.end; ++n) {  // Means over pixels, and P: what layer scaling takes away.
                double *h1 = g1.data() + n * C, *h2 = g2.data() + n * C;
                const double *mu = mean + at + n * C, *inv = inverse + at + n * C, *e = d + at + n * C;
                if (p.channels_last) {
                    for (int64_t c = 0; c < C; ++c) h1[c] = h2[c] = 0;
                    for (int64_t t = 0; t < items.tiles; ++t)
                        for (int64_t c = 0; c < C; ++c) {
                            h1[c] += a[(n * items.tiles + t) * C + c]; h2[c] += b[(n * items.tiles + t) * C + c]; }
                }
                for (int64_t c = 0; c < C; ++c) { h1[c] /= D; h2[c] = h2[c] / D + h1[c] * (k[n * C + c] - mu[c]); }
                for (int64_t g = 0; g < groups; ++g) {
                    double sum = 0;
                    for (int64_t c = g * p.group; p.scaled && c < (g + 1) * p.group; ++c) {
                        const double q = weight[c] * inv[c]; sum += q * h2[c] + (q * e[c] + bias[c]) * h1[c]; }
                    P[n * groups + g] = sum / p.group / p.zeta[(first + n) * groups + g];
                }
            }
            barrier();
            for (int64_t n = 0; n < count; ++n)  // The recurrences of u and v, and the coefficients.
                for (int64_t g = channels.begin / p.group; g * p.group < channels.end; ++g) {
                    const double zeta = p.zeta[(first + n) * groups + g], taken = P[n * groups + g];
                    const int64_t end = std::min(channels.end, (g + 1) * p.group);
                    for (int64_t c = std::max(channels.begin, g * p.group); c < end; ++c) {
                        const int64_t i = at + n * C + c, j = n * C + c;
                        const double b1 = 1 - (p.backward_decays ? p.backward_decays[c] : p.backward_decay);
                        const double inv = inverse[i], e = d[i], V = variance[i], A = weight[c] * inv / zeta;
                        const double center = (weight[c] * inv * e + bias[c]) / zeta;
                        const double z1 = (g1[j] - taken * center) / zeta, z2 = (g2[j] - taken * A * V) / zeta;
                        const double dot = (z2 + e * z1) * inv, pull = b1 * v[c] * inv * inv;
                        const double slope_ = -pull - taken * A * A;
                        gain[j] = float(A); slope[j] = float(slope_);
                        offset[j] = float(-pull * e - taken * A * center - b1 * u[c] + slope_ * (k[j] - mean[i]));
                        grad_weight[c] += dot; grad_bias[c] += z1;
                        u[c] = (1 - b1) * u[c] + weight[c] * inv * z1 - pull * e;
                        v[c] = (1 - b1 * (V + e * e) * inv * inv) * v[c] + weight[c] * dot;
                    }
                }
            barrier();
            if (p.out) { if (p.clamped) map<Input<true>, T>(items, work, first, f); else map<Input<false>, T>(items, work, first, f); }
            if (first + chunk < N) barrier();
        }
    });
    for (int64_t c = 0; c < C; ++c) {
        const double first = D * grad_weight[c], second = D * grad_bias[c];
        if (p.double_affine) { ((double*)p.grad_weight)[c] = first; ((double*)p.grad_bias)[c] = second; }
        else { ((float*)p.grad_weight)[c] = float(first); ((float*)p.grad_bias)[c] = float(second); }
    }
    keep(p.u, p.v, p.double_state, u, v);
}

}  // namespace

extern "C" int64_t online_norm_problem_size() { return sizeof(Problem); }
extern "C" void online_norm_forward(const Problem* p) { p->is_bf16 ? forward<bf16>(*p) : forward<float>(*p); }
extern "C" void online_norm_backward(const Problem* p) { p->is_bf16 ? backward<bf16>(*p) : backward<float>(*p); }
