#pragma once

#include <vector>

#include "models/transformer/families/family.hpp"

/// What Llama and the families built like it have in common: the keys of their sizes and the names of their tensors.

namespace gradus {

/// Reads sizes, epsilon of the norms and rotary positions; `kv_heads` and `head_width` hold where their keys are missing, 0
/// for n_head and C/H.
void read_decoder(ConfigKeys& keys, Config& config, int64_t kv_heads, int64_t head_width);
/// Reads a gate's activation.
void read_gate(ConfigKeys& keys, std::string_view key, MlpKind expected);
/// Sets what read_decoder() reads.
void write_decoder(Json& json, const Config& config);
/// 8C/3 over 32, rounded up, times 32: with the gate the feed-forward layer has three matrices, not two.
int64_t decoder_ffn(int64_t n_embd);
std::vector<FileWeight> decoder_weights(const Config& config);
/// An output layer that is tied, under the name `lm_head`.
std::vector<RepeatedWeight> repeated_lm_head(const Config& config);

/// The same of GGUF files: keys that all decoders have, and tensors. Where `pairs` is true, the channels of queries and
/// keys that turn together stand next to each other there, and half a head apart here.
void read_gguf_decoder(GgufKeys& keys, Config& config);
void write_gguf_decoder(GgufKeyWriter& keys, const Config& config);
std::vector<FileWeight> gguf_decoder_weights(const Config& config, bool pairs);
/// Those of the architecture that GGUF calls llama: Llama, Mistral and more.
void read_gguf_llama(GgufKeys& keys, Config& config);
void write_gguf_llama(GgufKeyWriter& keys, const Config& config);
std::vector<FileWeight> gguf_llama_weights(const Config& config);
std::vector<FileWeight> gguf_qwen_weights(const Config& config);
/// Factors of rotary frequencies: they are read with the keys.
inline constexpr std::string_view kGgufDecoderPassedOver[] = {"rope_freqs.weight"};

/// Rotary frequencies, which old files hold.
inline constexpr std::string_view kDecoderPassedOver[] = {".rotary_emb.inv_freq"};

}  // namespace gradus
