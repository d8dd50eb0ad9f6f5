// SentencePiece on binary frames, so that texts may hold any bytes.
//   sentencepiece_oracle MODEL encode   reads texts (length, bytes), writes tokens (count, then id, begin, end of each)
//   sentencepiece_oracle MODEL decode   reads ids (count, ids), writes texts (length, bytes)
//   sentencepiece_oracle MODEL pieces   writes every piece, by id, as a text
// All numbers are 32 bits, little-endian; begin and end are bytes of the text.

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

namespace {

bool read_number(uint32_t& n) { return std::fread(&n, sizeof n, 1, stdin) == 1; }

void write_number(uint32_t n) { std::fwrite(&n, sizeof n, 1, stdout); }

void write_text(const std::string& text) {
  write_number(static_cast<uint32_t>(text.size()));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

int main(int count, char** arguments) {
  sentencepiece::SentencePieceProcessor model;
  if (count != 3 || !model.Load(arguments[1]).ok()) {
    std::fprintf(stderr, "usage: sentencepiece_oracle MODEL encode|decode|pieces\n");
    return 2;
  }
  const std::string action = arguments[2];
  uint32_t size = 0;
  if (action == "encode") {
    while (read_number(size)) {
      std::string text(size, '\0');
      if (std::fread(text.data(), 1, size, stdin) != size) return 1;
      // The pieces point into this.
      const auto encoding = model.EncodeAsImmutableProto(text);
      const auto pieces = encoding.pieces();
      write_number(static_cast<uint32_t>(pieces.size()));
      for (const auto& piece : pieces) {
        write_number(piece.id());
        write_number(piece.begin());
        write_number(piece.end());
      }
    }
  } else if (action == "decode") {
    while (read_number(size)) {
      std::vector<int> ids(size);
      if (std::fread(ids.data(), sizeof(int), size, stdin) != size) return 1;
      std::string text;
      if (!model.Decode(ids, &text).ok()) return 1;
      write_text(text);
    }
  } else {
    for (int id = 0; id < model.GetPieceSize(); ++id) write_text(model.IdToPiece(id));
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
