// The one place that knows oneDNN and OpenBLAS.

#include "tools/bench_peers.hpp"

#include <cblas.h>
#include <dlfcn.h>

#include <cstdlib>
#include <dnnl.hpp>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"

namespace gradus::tools {
namespace {

/// A function of a library that is loaded while the program runs.
template <class F>
F* function_of(void* library, const char* name) {
  void* const found = dlsym(library, name);
  check_world(found != nullptr, "bench: a library must have the function ", name, "; it has not");
  return reinterpret_cast<F*>(found);
}

class OneDnn : public Peer {
 public:
  explicit OneDnn(int threads) : threads_(threads) {
    const std::string isa = kernels::table<float>().name;
    if (isa == "avx2") dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
    if (isa == "sse2") dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
    check(isa != "scalar",
          "bench gemm: --peers needs kernels of an instruction set that oneDNN has; the one in use is ", isa);
    // Debian builds it with OpenMP, whose library is loaded with it.
    function_of<void(int)>(RTLD_DEFAULT, "omp_set_num_threads")(threads);
    engine_ = dnnl::engine(dnnl::engine::kind::cpu, 0);
    stream_ = dnnl::stream(engine_);
  }

  std::string name() const override { return "onednn"; }

  std::string about() const override {
    const dnnl_version_t* version = dnnl_version();
    const auto isa = dnnl::get_effective_cpu_isa();
    const std::string name = isa >= dnnl::cpu_isa::avx512_core ? "avx512"
                             : isa >= dnnl::cpu_isa::avx2      ? "avx2"
                                                               : "sse41";
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + " (" + name + ", " + std::to_string(threads_) +
           " threads of OpenMP)";
  }

  Work prepare(const PeerProduct& p) override {
    using dnnl::memory;
    constexpr auto kFloat = memory::data_type::f32;
    const auto plain = [](int64_t rows, int64_t columns, bool transposed) {
      return memory::desc({rows, columns}, kFloat,
                          transposed ? memory::format_tag::ba : memory::format_tag::ab);
    };
    const auto over = [&](const memory::desc& desc, const float* data) {
      return memory(desc, engine_, const_cast<float*>(data));
    };
    const memory::desc a = plain(p.m, p.k, p.transpose_a);
    const memory::desc b = plain(p.k, p.n, p.transpose_b);
    const memory::desc y = plain(p.m, p.n, false);
    const memory::desc wanted =
        p.b_stands_still ? memory::desc({p.k, p.n}, kFloat, memory::format_tag::any) : b;
    const dnnl::matmul::primitive_desc description({a, wanted, y}, engine_);
    memory weights = over(b, p.b);
    if (description.weights_desc() != b) {
      memory packed(description.weights_desc(), engine_);
      dnnl::reorder(weights, packed).execute(stream_, weights, packed);
      stream_.wait();
      weights = packed;
    }
    const std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, over(a, p.a)}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, over(y, p.y)}};
    return [this, arguments, product = dnnl::matmul(description)] {
      product.execute(stream_, arguments);
      stream_.wait();
    };
  }

 private:
  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
};

class OpenBlas : public Peer {
 public:
  explicit OpenBlas(int threads) {
    // It chooses its kernels by itself while it is loaded, on some processors not those of the widest instructions, so
    // the choice is made before; what is set already wins.
    const std::string isa = kernels::table<float>().name;
    if (isa == "avx512") setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    if (isa == "avx2") setenv("OPENBLAS_CORETYPE", "Haswell", 0);
    if (isa == "sse2") setenv("OPENBLAS_CORETYPE", "Prescott", 0);
    void* const library = dlopen(GRADUS_OPENBLAS, RTLD_NOW | RTLD_LOCAL);
    const char* const reason = library == nullptr ? dlerror() : "";
    check_world(library != nullptr, "bench gemm: OpenBLAS must load; ", reason);
    sgemm_ = function_of<decltype(cblas_sgemm)>(library, "cblas_sgemm");
    function_of<decltype(openblas_set_num_threads)>(library, "openblas_set_num_threads")(threads);
    about_ = std::string(function_of<decltype(openblas_get_config)>(library, "openblas_get_config")()) +
             " (" + function_of<decltype(openblas_get_corename)>(library, "openblas_get_corename")() + ", " +
             std::to_string(
                 function_of<decltype(openblas_get_num_threads)>(library, "openblas_get_num_threads")()) +
             " threads)";
  }

  std::string name() const override { return "openblas"; }
  std::string about() const override { return about_; }

  Work prepare(const PeerProduct& p) override {
    const auto blas = [](int64_t size) { return static_cast<blasint>(size); };
    return [=, this] {
      sgemm_(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
             p.transpose_b ? CblasTrans : CblasNoTrans, blas(p.m), blas(p.n), blas(p.k), 1.0f, p.a,
             blas(p.transpose_a ? p.m : p.k), p.b, blas(p.transpose_b ? p.k : p.n), 0.0f, p.y, blas(p.n));
    };
  }

 private:
  decltype(&cblas_sgemm) sgemm_ = nullptr;
  std::string about_;
};

}  // namespace

std::vector<std::unique_ptr<Peer>> make_peers(int threads) {
  std::vector<std::unique_ptr<Peer>> peers;
  peers.push_back(std::make_unique<OneDnn>(threads));
  peers.push_back(std::make_unique<OpenBlas>(threads));
  return peers;
}

}  // namespace gradus::tools
