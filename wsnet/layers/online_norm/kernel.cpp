// Online normalization (Chiley et al. 2019, arXiv 1905.05894) for CPUs; each direction reads its tensors from memory
// once. The formulas are in formulas.py, whose names are used here too.
//
// Shapes: N samples, C channels, D pixels. x, grad and out are (N, C, D), or (N, D, C) if channels_last. Samples are
// processed in chunks that stay in the cache: the chunk's moments, the recurrences over its samples, then its output.
// Each sum runs over one sample and channel in a fixed order, so the number of threads does not change a single bit.
// Elements are float or bfloat16, sums of at most a few thousand elements are float, and all (N, C) values double.
//
// The two operators are at the end; kernel.py has their schemas. They use torch's stable ABI.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <omp.h>
#include <optional>
#include <string>
#include <tuple>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <vector>

extern "C" {  // Tests change them.
// Elements per thread in a chunk of samples, which stays in the caches between its passes. Smaller chunks are no faster,
// and each chunk costs three barriers.
int64_t online_norm_chunk = 1 << 20;
int64_t online_norm_tile = 1 << 13;  // Elements of a tile of pixels (channels_last) or of rows, for the L1 cache.
}

namespace {

constexpr float largest = 5;              // formulas.CLAMP
constexpr double layer_scale_eps = 1e-5;  // formulas.LAYER_SCALE_EPS

struct Problem {
    int64_t N, C, D, chunk, tile;                           // chunk: samples; tile: pixels or rows
    int64_t nets, width;                                    // networks side by side, and the channels of each
    bool channels_last, is_bf16, layer_scaling, clamping, frozen;
    int threads;
    double forward_decay, backward_decay, eps;
    const void *x, *grad;                                   // (N, C, D)
    void* out;                                              // (N, C, D): the output, or the gradient of the input
    const float *weight, *bias;                             // (C,) or null
    float *running_mean, *running_var, *u, *v;              // (C,): forward updates the first two, backward u and v
    double* stats;                                          // (4, N, C): mean, variance, 1 / s, d of each sample
    double* zeta;                                           // (N, nets)
    float *grad_weight, *grad_bias;                         // (C,)
};

// ---- Vectors of n floats.

constexpr int W = 16;  // A row's elements are added up in W lanes, whatever the processor, and these one by one.
#if defined(__AVX512F__)
constexpr int L = 16;  // Floats of a register: the compiler keeps longer vectors in memory.
#elif defined(__AVX__)
constexpr int L = 8;
#else
constexpr int L = 4;
#endif

struct bf16 { uint16_t bits; };
template <int n> struct Lanes {
    typedef float F __attribute__((vector_size(4 * n)));
    typedef uint32_t U __attribute__((vector_size(4 * n)));
    typedef uint16_t H __attribute__((vector_size(2 * n)));
};
template <> struct Lanes<1> { typedef float F; typedef uint32_t U; typedef uint16_t H; };
template <int n> using F = typename Lanes<n>::F;
template <int n> using U = typename Lanes<n>::U;
template <int n> using H = typename Lanes<n>::H;
template <int n, class To, class From> inline To converted(From v) {
    if constexpr (n == 1) return To(v); else return __builtin_convertvector(v, To);
}

template <int n> inline F<n> load(const float* p) { F<n> v; std::memcpy(&v, p, sizeof v); return v; }
template <int n> inline F<n> load(const bf16* p) {
    H<n> h; std::memcpy(&h, p, sizeof h);
    const U<n> u = converted<n, U<n>>(h) << 16;
    F<n> v; std::memcpy(&v, &u, sizeof v); return v;
}
template <int n> inline void store(float* p, F<n> v) { std::memcpy(p, &v, sizeof v); }
template <int n> inline void store(bf16* p, F<n> v) {  // Round to nearest, ties to even.
    U<n> u; std::memcpy(&u, &v, sizeof u);
    const U<n> rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16, quiet_nan = U<n>{} + 0x7fc0;
    const H<n> h = converted<n, H<n>>((u & 0x7fffffff) > 0x7f800000 ? quiet_nan : rounded);
    std::memcpy(p, &h, sizeof h);
}

// ---- What is done to each pixel.

// Per sample and channel. k is the sample's mean, rounded, and e = x - k: the output is scale * e + shift, the gradient
// of x is scale * grad + slope * e + offset.
struct Coefficients {
    std::vector<float> k, scale, shift, slope, offset;
    explicit Coefficients(int64_t size) : k(size), scale(size), shift(size), slope(size), offset(size) {}
};
// Coefficients of n channels, one per lane, or of one channel for all lanes.
template <int n, bool one> struct Channels {
    F<n> k, scale, shift, slope, offset;
    Channels() = default;
    Channels(const Coefficients& f, int64_t i)
        : k(of(f.k, i)), scale(of(f.scale, i)), shift(of(f.shift, i)), slope(of(f.slope, i)), offset(of(f.offset, i)) {}
    static F<n> of(const std::vector<float>& values, int64_t i) {
        if constexpr (one) return F<n>{} + values[i];
        else return load<n>(&values[i]);
    }
};

// The gradient of the output y that passes the clamping: 0 where y was clamped.
template <bool clamping, int n, class K> inline F<n> unclamped(F<n> g, F<n> e, const K& c) {
    if (!clamping) return g;
    const F<n> y = e * c.scale + c.shift;
    // Not &: the compiler would then contract y differently than in `Output`, and forward and backward must agree on
    // which outputs were clamped.
    if constexpr (n == 1) return y < largest && y > -largest ? g : 0;
    else return ((y < largest) & (y > -largest)) ? g : F<n>{};
}

struct Sum {
    template <int n, class K> static void add(F<n> x, F<n>, const K&, F<n>& a, F<n>&) { a += x; }
};
struct Deviation {
    template <int n, class K> static void add(F<n> x, F<n>, const K& c, F<n>& a, F<n>& b) {
        const F<n> e = x - c.k;
        a += e; b += e * e;
    }
};
template <bool clamping> struct Gradient {
    template <int n, class K> static void add(F<n> x, F<n> g, const K& c, F<n>& a, F<n>& b) {
        const F<n> e = x - c.k, passed = unclamped<clamping, n>(g, e, c);
        a += passed; b += passed * e;
    }
};
template <bool clamping> struct Output {
    template <int n, class K> static F<n> of(F<n> x, F<n>, const K& c) {
        F<n> y = (x - c.k) * c.scale + c.shift;
        const F<n> limit = F<n>{} + largest;
        if (clamping) { y = y > limit ? limit : y; y = y < -limit ? -limit : y; }
        return y;
    }
};
template <bool clamping> struct InputGradient {
    template <int n, class K> static F<n> of(F<n> x, F<n> g, const K& c) {
        const F<n> e = x - c.k;
        return c.scale * unclamped<clamping, n>(g, e, c) + (c.slope * e + c.offset);
    }
};

// ---- Over a matrix of R rows, `stride` elements apart. Its columns are channels, their coefficients at `i` and after;
// or all are pixels of one channel.

// Adds each column to a_sum and b_sum. Each has `vectors` * n columns; every column has `rows` sums, joined at the end.
template <class Term, bool one, int n, int vectors, int rows, class T>
inline void sum_columns(const T* x, const T* g, int64_t R, int64_t stride, const Coefficients& f, int64_t i,
                        float* a_sum, float* b_sum) {
    F<n> a[rows][vectors] = {}, b[rows][vectors] = {};
    Channels<n, one> c[vectors];
    for (int v = 0; v < vectors; ++v) {
        c[v] = Channels<n, one>(f, one ? i : i + v * n);
        a[0][v] = load<n>(a_sum + v * n); b[0][v] = load<n>(b_sum + v * n);
    }
    const auto add = [&](int64_t r, int j) {
        for (int v = 0; v < vectors; ++v) {
            const int64_t at = r * stride + v * n;
            Term::template add<n>(load<n>(x + at), load<n>(g + at), c[v], a[j][v], b[j][v]);
        }
    };
    int64_t r = 0;
    for (; r + rows <= R; r += rows)
        for (int j = 0; j < rows; ++j) add(r + j, j);
    for (; r < R; ++r) add(r, 0);
    for (int v = 0; v < vectors; ++v) {
        for (int j = 1; j < rows; ++j) { a[0][v] += a[j][v]; b[0][v] += b[j][v]; }
        store<n>(a_sum + v * n, a[0][v]); store<n>(b_sum + v * n, b[0][v]);
    }
}
template <class Pass, bool one, int n, int vectors, class T>
inline void map_columns(const T* x, const T* g, T* out, int64_t R, int64_t stride, const Coefficients& f, int64_t i) {
    Channels<n, one> c[vectors];
    for (int v = 0; v < vectors; ++v) c[v] = Channels<n, one>(f, one ? i : i + v * n);
    for (int64_t r = 0; r < R; ++r)
        for (int v = 0; v < vectors; ++v) {
            const int64_t at = r * stride + v * n;
            store<n>(out + at, Pass::template of<n>(load<n>(x + at), load<n>(g + at), c[v]));
        }
}

// Over R pixels of all C channels of one sample, (N, D, C).
template <class Term, class T>
void sum_pixels(const T* x, const T* g, int64_t R, int64_t C, const Coefficients& f, int64_t i,
                float* a_sum, float* b_sum) {
    std::fill(a_sum, a_sum + C, 0.f); std::fill(b_sum, b_sum + C, 0.f);
    int64_t c = 0;
    const auto step = [&](auto sum, int width, int64_t end) {
        for (; c < end; c += width) sum(x + c, g + c, R, C, f, i + c, a_sum + c, b_sum + c);
    };
    step(sum_columns<Term, false, L, 4, 1, T>, 4 * L, C - C % (4 * W));
    step(sum_columns<Term, false, L, 2, 2, T>, 2 * L, C - C % (2 * W));
    step(sum_columns<Term, false, L, 1, 4, T>, L, C - C % W);
    step(sum_columns<Term, false, 1, 1, 1, T>, 1, C);
}
template <class Pass, class T>
void map_pixels(const T* x, const T* g, T* out, int64_t R, int64_t C, const Coefficients& f, int64_t i) {
    int64_t c = 0;
    const auto step = [&](auto map, int width) {
        for (; c + width <= C; c += width) map(x + c, g + c, out + c, R, C, f, i + c);
    };
    step(map_columns<Pass, false, L, 4, T>, 4 * L);
    step(map_columns<Pass, false, L, 1, T>, L);
    step(map_columns<Pass, false, 1, 1, T>, 1);
}

// Over the D pixels of R <= group rows (sample, channel), (N, C, D).
constexpr int group = 8;
template <class Term, class T>  // Sums of blocks that are short enough for floats.
void sum_rows(const T* x, const T* g, int64_t R, int64_t D, const Coefficients& f, int64_t i,
              double* a_sum, double* b_sum) {
    std::fill(a_sum, a_sum + R, 0); std::fill(b_sum, b_sum + R, 0);
    for (int64_t start = 0; start < D; start += 4096) {
        const int64_t size = std::min<int64_t>(4096, D - start), rest = size % (4 * W), tail = size % W;
        float a[group][4 * W] = {}, b[group][4 * W] = {};
        for (int64_t r = 0; r < R; ++r) {
            int64_t at = r * D + start;
            for (int c = 0; c < 4 * W; c += 4 * L)
                sum_columns<Term, true, L, 4, 1>(x + at + c, g + at + c, size / (4 * W), 4 * W, f, i + r,
                                                 &a[r][c], &b[r][c]);
            at += size - rest;
            for (int c = 0; c < W; c += L)
                sum_columns<Term, true, L, 1, 1>(x + at + c, g + at + c, rest / W, W, f, i + r, &a[r][c], &b[r][c]);
        }
        // All rows at once: the additions of one row wait for each other.
        float a_row[group] = {}, b_row[group] = {};
        const auto joined = [](const float* s) { return s[0] + s[W] + (s[2 * W] + s[3 * W]); };
        for (int lane = 0; lane < W; ++lane)
            for (int r = 0; r < group; ++r) { a_row[r] += joined(&a[r][lane]); b_row[r] += joined(&b[r][lane]); }
        for (int64_t r = 0; r < R; ++r) {
            const int64_t at = r * D + start + size - tail;
            const Channels<1, true> c(f, i + r);
            float a_rest = a_row[r], b_rest = b_row[r];
            for (int64_t j = 0; j < tail; ++j)
                Term::template add<1>(load<1>(x + at + j), load<1>(g + at + j), c, a_rest, b_rest);
            a_sum[r] += a_rest; b_sum[r] += b_rest;
        }
    }
}
template <class Pass, class T>
void map_rows(const T* x, const T* g, T* out, int64_t R, int64_t D, const Coefficients& f, int64_t i) {
    for (int64_t r = 0; r < R; ++r) {
        int64_t at = r * D;
        const auto step = [&](auto map, int width) {
            const int64_t count = ((r + 1) * D - at) / width;
            map(x + at, g + at, out + at, count, width, f, i + r);
            at += count * width;
        };
        step(map_columns<Pass, true, L, 4, T>, 4 * L);
        step(map_columns<Pass, true, L, 1, T>, L);
        step(map_columns<Pass, true, 1, 1, T>, 1);
    }
}

// ---- Threads and chunks.

struct Range { int64_t begin, end; };
inline Range share(int64_t count, int thread, int threads) {
    return {count * thread / threads, count * (thread + 1) / threads};
}
inline void barrier() {
#pragma omp barrier
}

// One thread's part of a chunk of samples. Its work comes in items: rows (sample, channel), of which `tile` are taken
// at once, or tiles (sample, pixels) of all channels if channels_last.
struct Part {
    int64_t start, count;  // samples of the chunk
    bool whole;            // Giving each thread whole samples saves barriers; a few samples are split into pieces.
    Range samples, items;  // of the chunk
    Range channels;
};
struct Layout {
    const Problem& p;
    int64_t chunk, tiles, per_sample;
    explicit Layout(const Problem& p)
        : p(p), chunk(std::min(p.chunk, p.N)), tiles(p.channels_last ? (p.D + p.tile - 1) / p.tile : 1),
          per_sample(p.channels_last ? tiles : p.C) {}
    int64_t pixels(int64_t tile) const { return std::min(p.tile, p.D - tile * p.tile); }
    Part part(int64_t start, int thread, int threads) const {
        const int64_t count = std::min(chunk, p.N - start);
        const bool whole = count % threads == 0 || count >= 4 * threads;
        const Range samples = share(count, thread, threads), pieces = share(count * per_sample, thread, threads);
        const Range own = {samples.begin * per_sample, samples.end * per_sample};
        return {start, count, whole, samples, whole ? own : pieces, share(p.C, thread, threads)};
    }
    // Calls body(part) on every thread, chunk after chunk.
    template <class Body> void chunks(Body body) const {
#pragma omp parallel num_threads(p.threads)
        for (int64_t start = 0; start < p.N; start += chunk) {
            body(part(start, omp_get_thread_num(), omp_get_num_threads()));
            if (start + chunk < p.N) barrier();
        }
    }
    // Calls body(number of the first item, rows or pixels, offset in x, index of the first coefficient), tile by tile.
    template <class Body> void each(const Part& part, Body body) const {
        const auto [begin, end] = part.items;
        for (int64_t i = begin; !p.channels_last && i < end; i += p.tile)
            body(i, std::min(p.tile, end - i), (part.start * p.C + i) * p.D, i);
        for (int64_t i = begin; p.channels_last && i < end; ++i) {
            const int64_t n = i / tiles, t = i % tiles;
            body(i, pixels(t), ((part.start + n) * p.D + t * p.tile) * p.C, n * p.C);
        }
    }
};
template <class Pass, class T> void map(const Layout& l, const Part& part, const Coefficients& f) {
    const Problem& p = l.p;
    const T *x = (const T*)p.x, *g = (const T*)(p.grad ? p.grad : p.x);
    T* out = (T*)p.out;
    l.each(part, [&](int64_t, int64_t R, int64_t at, int64_t c) {
        if (p.channels_last) map_pixels<Pass>(x + at, g + at, out + at, R, p.C, f, c);
        else map_rows<Pass>(x + at, g + at, out + at, R, p.D, f, c);
    });
}

std::vector<double> values(const float* p, int64_t C, double absent) {
    return p ? std::vector<double>(p, p + C) : std::vector<double>(C, absent);
}
// A network's new state is kept only if all of it is finite, so that one bad step does not spoil all later ones.
void keep(int64_t width, float* p, float* q, const std::vector<double>& a, const std::vector<double>& b) {
    const auto finite = [](double f) { return std::isfinite(float(f)); };
    for (auto i = a.begin(), j = b.begin(); i != a.end(); i += width, j += width, p += width, q += width) {
        if (!std::all_of(i, i + width, finite) || !std::all_of(j, j + width, finite)) continue;
        std::copy(i, i + width, p); std::copy(j, j + width, q);
    }
}

// ---- The two directions. A sample is number n of all and number j of its chunk.

struct Direction {
    const Problem& p;
    const Layout l{p};
    const int64_t N = p.N, C = p.C, D = p.D;
    const std::vector<double> weight = values(p.weight, C, 1), bias = values(p.bias, C, 0);
    double *mean = p.stats, *variance = mean + N * C, *inverse = variance + N * C, *d = inverse + N * C;
    std::vector<float> tile_a = std::vector<float>(p.channels_last ? l.chunk * l.tiles * C : 0), tile_b = tile_a;
    Coefficients f{l.chunk * C};

    // Calls body(number of the network, its channels in the range), for each network with channels in it.
    template <class Body> void each_net(Range channels, Body body) const {
        if (channels.begin == channels.end) return;
        for (int64_t r = channels.begin / p.width; r * p.width < channels.end; ++r)
            body(r, Range{std::max(channels.begin, r * p.width), std::min(channels.end, (r + 1) * p.width)});
    }
    void output_coefficients(int64_t n, int64_t j) {
        each_net({0, C}, [&](int64_t r, Range channels) {
            const double zeta = p.zeta[n * p.nets + r];
            for (int64_t c = channels.begin; c < channels.end; ++c) {
                const int64_t i = n * C + c;
                const double scale_z = weight[c] * inverse[i];
                const float k = f.k[j * C + c] = float(mean[i]);
                f.scale[j * C + c] = float(scale_z / zeta);
                f.shift[j * C + c] = float((scale_z * (d[i] + (k - mean[i])) + bias[c]) / zeta);
            }
        });
    }
};

template <class T, bool clamping> struct Forward : Direction {
    std::vector<double> m = values(p.running_mean, C, 0), var = values(p.running_var, C, 1);

    void run() {
        l.chunks([&](const Part& part) {
            moments(part);
            barrier();
            for (int64_t j = 0; j < part.count; ++j) {
                if (p.channels_last) join_tiles(part.start + j, j, part.channels);
                advance(part.start + j, part.channels);
            }
            barrier();
            for (int64_t j = part.samples.begin; j < part.samples.end; ++j) {
                for (int64_t r = 0; r < p.nets; ++r) p.zeta[(part.start + j) * p.nets + r] = zeta(part.start + j, r);
                output_coefficients(part.start + j, j);
            }
            if (!part.whole) barrier();
            map<Output<clamping>, T>(l, part, f);
        });
        if (!p.frozen) keep(p.width, p.running_mean, p.running_var, m, var);
    }

    // Mean and variance of the pixels, from sums of deviations from a first, rounded mean k.
    void moments(const Part& part) {
        const T* x = (const T*)p.x;
        Coefficients shifted(std::max<int64_t>(C, group));
        l.each(part, [&](int64_t i, int64_t R, int64_t at, int64_t) {
            if (!p.channels_last) {
                double a[group], b[group];
                sum_rows<Sum>(x + at, x + at, R, D, shifted, 0, a, b);
                for (int64_t r = 0; r < R; ++r) shifted.k[r] = float(a[r] / D);
                sum_rows<Deviation>(x + at, x + at, R, D, shifted, 0, a, b);
                for (int64_t r = 0; r < R; ++r) {
                    const double e = a[r] / D;
                    mean[part.start * C + i + r] = e + shifted.k[r];
                    variance[part.start * C + i + r] = std::max(b[r] / D - e * e, 0.0);
                }
                return;
            }
            float *k = shifted.k.data(), *a = &tile_a[i * C], *b = &tile_b[i * C];
            sum_pixels<Sum>(x + at, x + at, R, C, shifted, 0, a, b);
            for (int64_t c = 0; c < C; ++c) k[c] = a[c] / R;
            if (R > 1) sum_pixels<Deviation>(x + at, x + at, R, C, shifted, 0, a, b);
            else for (int64_t c = 0; c < C; ++c) a[c] = b[c] = 0;
            for (int64_t c = 0; c < C; ++c) {  // a: the tile's mean; b: its sum of squared deviations from that.
                const float e = a[c] / R;
                b[c] = std::max(b[c] - e * a[c], 0.f); a[c] = k[c] + e;
            }
        });
    }
    // Mean and variance of a sample from those of its tiles.
    void join_tiles(int64_t n, int64_t j, Range channels) {
        const float *a = &tile_a[j * l.tiles * C], *b = &tile_b[j * l.tiles * C];
        double *mean_n = mean + n * C, *variance_n = variance + n * C;
        for (int64_t c = channels.begin; c < channels.end; ++c) mean_n[c] = variance_n[c] = 0;
        for (int64_t t = 0; t < l.tiles; ++t)
            for (int64_t c = channels.begin; c < channels.end; ++c) mean_n[c] += l.pixels(t) * double(a[t * C + c]);
        for (int64_t c = channels.begin; c < channels.end; ++c) mean_n[c] /= D;
        for (int64_t t = 0; t < l.tiles; ++t)
            for (int64_t c = channels.begin; c < channels.end; ++c) {
                const double deviation = a[t * C + c] - mean_n[c];
                variance_n[c] += b[t * C + c] + l.pixels(t) * deviation * deviation;
            }
        for (int64_t c = channels.begin; c < channels.end; ++c) variance_n[c] /= D;
    }
    // The recurrences: sample n uses the running statistics, then updates them.
    void advance(int64_t n, Range channels) {
        const double a = p.forward_decay;
        for (int64_t c = channels.begin; c < channels.end; ++c) {
            const int64_t i = n * C + c;
            d[i] = mean[i] - m[c];
            inverse[i] = 1 / std::sqrt(var[c] + p.eps);
            if (p.frozen) continue;
            var[c] = a * var[c] + (1 - a) * variance[i] + a * (1 - a) * d[i] * d[i];
            m[c] += (1 - a) * d[i];
        }
    }
    double zeta(int64_t n, int64_t r) const {
        if (!p.layer_scaling) return 1;
        double square = 0;
        for (int64_t c = r * p.width; c < (r + 1) * p.width; ++c) {
            const int64_t i = n * C + c;
            const double scale_z = weight[c] * inverse[i], shift_z = scale_z * d[i] + bias[c];
            square += scale_z * scale_z * variance[i] + shift_z * shift_z;
        }
        return std::sqrt(square / p.width + layer_scale_eps);
    }
};

template <class T, bool clamping> struct Backward : Direction {
    std::vector<double> u = values(p.u, C, 0), v = values(p.v, C, 0);
    std::vector<double> first = std::vector<double>(l.chunk * C), second = first;
    std::vector<double> along = std::vector<double>(l.chunk * p.nets);
    std::vector<double> grad_weight = std::vector<double>(C), grad_bias = grad_weight;

    void run() {
        l.chunks([&](const Part& part) {
            for (int64_t j = part.samples.begin; j < part.samples.end; ++j) output_coefficients(part.start + j, j);
            if (!part.whole) barrier();
            sums(part);
            if (!part.whole) barrier();
            for (int64_t j = part.samples.begin; j < part.samples.end; ++j) means(part.start + j, j);
            barrier();
            for (int64_t j = 0; j < part.count; ++j) advance(part.start + j, j, part.channels);
            barrier();
            map<InputGradient<clamping>, T>(l, part, f);
        });
        for (int64_t c = 0; c < C; ++c) {
            p.grad_weight[c] = float(D * grad_weight[c]);
            p.grad_bias[c] = float(D * grad_bias[c]);
        }
        keep(p.width, p.u, p.v, u, v);
    }

    // Sums of grad and of grad * e over the pixels.
    void sums(const Part& part) {
        const T *x = (const T*)p.x, *g = (const T*)p.grad;
        l.each(part, [&](int64_t i, int64_t R, int64_t at, int64_t c) {
            if (p.channels_last)
                sum_pixels<Gradient<clamping>>(x + at, g + at, R, C, f, c, &tile_a[i * C], &tile_b[i * C]);
            else sum_rows<Gradient<clamping>>(x + at, g + at, R, D, f, c, &first[i], &second[i]);
        });
    }
    // From these sums, first, second and along.
    void means(int64_t n, int64_t j) {
        double *first_n = &first[j * C], *second_n = &second[j * C];
        if (p.channels_last) {
            std::fill(first_n, first_n + C, 0); std::fill(second_n, second_n + C, 0);
            for (int64_t t = j * l.tiles; t < (j + 1) * l.tiles; ++t)
                for (int64_t c = 0; c < C; ++c) { first_n[c] += tile_a[t * C + c]; second_n[c] += tile_b[t * C + c]; }
        }
        for (int64_t c = 0; c < C; ++c) {
            first_n[c] /= D;
            second_n[c] = second_n[c] / D + first_n[c] * (f.k[j * C + c] - mean[n * C + c]);
        }
        each_net({0, C}, [&](int64_t r, Range channels) {
            double sum = 0;
            for (int64_t c = channels.begin; p.layer_scaling && c < channels.end; ++c) {
                const double scale_z = weight[c] * inverse[n * C + c];
                sum += scale_z * second_n[c] + (scale_z * d[n * C + c] + bias[c]) * first_n[c];
            }
            along[j * p.nets + r] = sum / p.width / p.zeta[n * p.nets + r];
        });
    }
    // The recurrences of u and v, and the coefficients of the gradient of x.
    void advance(int64_t n, int64_t j, Range channels) {
        each_net(channels, [&](int64_t r, Range own) {
            advance(n, j, own, p.zeta[n * p.nets + r], along[j * p.nets + r]);
        });
    }
    void advance(int64_t n, int64_t j, Range channels, double zeta, double along) {
        const double b1 = 1 - p.backward_decay;
        for (int64_t c = channels.begin; c < channels.end; ++c) {
            const int64_t i = n * C + c, at = j * C + c;
            const double inverse = this->inverse[i], d = this->d[i], variance = this->variance[i];
            const double scale = weight[c] * inverse / zeta, shift = (weight[c] * inverse * d + bias[c]) / zeta;
            const double first_z = (first[at] - along * shift) / zeta;
            const double second_z = (second[at] - along * scale * variance) / zeta;
            const double dot = (second_z + d * first_z) * inverse, pull = b1 * v[c] * inverse * inverse;
            const double slope = -pull - along * scale * scale;
            f.slope[at] = float(slope);
            f.offset[at] = float(-pull * d - along * scale * shift - b1 * u[c] + slope * (f.k[at] - mean[i]));
            grad_weight[c] += dot;
            grad_bias[c] += first_z;
            u[c] = (1 - b1) * u[c] + weight[c] * inverse * first_z - pull * d;
            v[c] = (1 - b1 * (variance + d * d) * inverse * inverse) * v[c] + weight[c] * dot;
        }
    }
};

template <template <class, bool> class Pass> void run(const Problem& p) {
    if (p.is_bf16) p.clamping ? Pass<bf16, true>{{p}}.run() : Pass<bf16, false>{{p}}.run();
    else p.clamping ? Pass<float, true>{{p}}.run() : Pass<float, false>{{p}}.run();
}

// ---- The operators.

using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Parameter = std::optional<Tensor>;
using ThreeTensors = std::tuple<Tensor, Tensor, Tensor>;

template <class T> T* data(const Tensor& tensor) { return static_cast<T*>(tensor.mutable_data_ptr()); }
const float* data(const Parameter& p) { return p ? static_cast<const float*>(p->const_data_ptr()) : nullptr; }

// What forward and backward have in common.
Problem problem_of(const Tensor& x, const Parameter& weight, const Parameter& bias, const std::string& compensation,
                   int64_t replicates) {
    Problem p{};
    p.nets = replicates; p.width = x.size(1) / replicates;
    p.N = x.size(0); p.C = x.size(1); p.D = x.numel() / std::max<int64_t>(p.N * p.C, 1);
    p.threads = int(torch::stable::get_num_threads());
    p.chunk = std::max<int64_t>(p.threads * online_norm_chunk / std::max<int64_t>(p.D * p.C, 1), p.threads);
    p.channels_last = p.D == 1 || !x.is_contiguous();
    p.tile = p.channels_last ? std::max<int64_t>(online_norm_tile / std::max<int64_t>(p.C, 1), 16)
                             : std::clamp<int64_t>(online_norm_tile / std::max<int64_t>(p.D, 1), 1, group);
    p.is_bf16 = x.scalar_type() == ScalarType::BFloat16;
    p.layer_scaling = compensation == "ls"; p.clamping = compensation == "ac";
    p.x = x.const_data_ptr(); p.weight = data(weight); p.bias = data(bias);
    return p;
}

ThreeTensors forward(Tensor x, Parameter weight, Parameter bias, Tensor running_mean, Tensor running_var,
                     double forward_decay, double eps, std::string error_compensation, bool frozen,
                     int64_t replicates) {
    Problem p = problem_of(x, weight, bias, error_compensation, replicates);
    Tensor out = torch::stable::empty_like(x);
    Tensor stats = torch::stable::new_empty(x, {4, p.N, p.C}, ScalarType::Double);
    Tensor zeta = torch::stable::new_empty(x, {p.N, p.nets}, ScalarType::Double);
    p.forward_decay = forward_decay; p.eps = eps; p.frozen = frozen;
    p.out = data<void>(out); p.stats = data<double>(stats); p.zeta = data<double>(zeta);
    p.running_mean = data<float>(running_mean); p.running_var = data<float>(running_var);
    run<Forward>(p);
    return {out, stats, zeta};
}

ThreeTensors backward(Tensor grad, Tensor x, Parameter weight, Parameter bias, Tensor stats, Tensor zeta, Tensor u,
                      Tensor v, double backward_decay, std::string error_compensation, int64_t replicates) {
    Problem p = problem_of(x, weight, bias, error_compensation, replicates);
    grad = torch::stable::contiguous(grad, x.is_contiguous() ? MemoryFormat::Contiguous : MemoryFormat::ChannelsLast);
    Tensor grad_x = torch::stable::empty_like(x);
    Tensor grad_weight = torch::stable::new_empty(x, {p.C}, ScalarType::Float);
    Tensor grad_bias = torch::stable::new_empty(x, {p.C}, ScalarType::Float);
    p.backward_decay = backward_decay;
    p.chunk = std::max<int64_t>(p.chunk / 2, 1);
    p.grad = grad.const_data_ptr(); p.stats = data<double>(stats); p.zeta = data<double>(zeta);
    p.u = data<float>(u); p.v = data<float>(v);
    p.out = data<void>(grad_x); p.grad_weight = data<float>(grad_weight); p.grad_bias = data<float>(grad_bias);
    run<Backward>(p);
    return {grad_x, grad_weight, grad_bias};
}

STABLE_TORCH_LIBRARY_IMPL(wsnet, CPU, library) {
    library.impl("online_norm_forward", TORCH_BOX(&forward));
    library.impl("online_norm_backward", TORCH_BOX(&backward));
}

}  // namespace
