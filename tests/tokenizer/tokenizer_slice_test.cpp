// A slice of the differential tests: small tokenizers trained here, and what the Hugging Face library (its npm package
// @anush008/tokenizers 0.6.0) makes of hostile texts with their tokenizer.json, ids and offsets in characters. What is named
// spm-bpe and unigram alone: the library's tokenizers 0.22.1.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/formats/hostile_texts.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;

namespace {

std::string training_text() {
  const std::string once =
      "In the beginning the keeper of the lighthouse wrote every night into a thick book: the wind, the "
      "height of the "
      "waves, the names of the\nships that passed. \"The light's burning,\" he'd say, \"and that's what "
      "they'll "
      "remember.\" His daughter counted differently; she counted the\nlighted windows of the town, 1234 of "
      "them in "
      "winter, 12 in summer, and she sang while counting. The keeper's hands were slow, the waves\nwere not. "
      "Keeping, "
      "counting, writing, burning: the words kept the night together, and the night kept the words.\n"
      "\u00E9t\u00E9 na\u00EFve Stra\u00DFe \u0395\u03BB\u03BB\u03AC\u03B4\u03B1 "
      "\u041F\u0440\u0438\u0432\u0435\u0442 \u043C\u0438\u0440 \u65E5\u672C \u65E5\u672C\u8A9E "
      "\u3053\u3093\u306B\u3061\u306F \uC548\uB155 \u0928\u092E\u0938\u094D\u0924\u0947\n";
  return once + once + once + once;
}

// "KIND", or "KIND with spaces" as SentencePiece and the library's Metaspace have them.
Tokenizer trained(const std::string& name) {
  static const std::string text = training_text();
  const std::vector<std::string_view> documents = {text};
  const std::string kind = name.substr(0, name.find(' '));
  const int64_t size = kind == "bpe" ? 330 : kind == "wordpiece" ? 160 : 340;
  using Spaces = TokenizerTraining::Spaces;
  Tokenizer tokenizer =
      train_tokenizer(documents, {kind, size, {}, 0, name == kind ? Spaces::exact : Spaces::sentencepiece});
  if (name != "unigram with Metaspace") return tokenizer;
  TokenizerParts parts = tokenizer.parts();
  parts.normalizer = nullptr;
  parts.pre_tokenizer = read_pre_tokenizer(preset(kMetaspaceWords));
  return Tokenizer(std::move(parts));
}

// "id:begin-end …", counting characters; a token that begins or ends inside a character has all of it.
std::string shown(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<int64_t> before(text.size() + 1);  // characters that begin before a byte
  for (size_t at = 0; at < text.size(); ++at) {
    before[at + 1] = before[at] + ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80);
  }
  const auto begins = [&](int64_t at) {
    const auto byte = static_cast<size_t>(at);
    const bool inside = byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xC0) == 0x80;
    return before[byte] - (inside ? 1 : 0);
  };
  const Encoding encoding = tokenizer.encode_full(text, std::nullopt, {true, true});
  std::string out;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    if (i > 0) out += ' ';
    out += std::to_string(encoding.ids[i]) + ":" + std::to_string(begins(encoding.offsets[i].begin)) + "-" +
           std::to_string(before[static_cast<size_t>(encoding.offsets[i].end)]);
  }
  return out;
}

struct Row {
  const char* kind;
  const char* text;
  const char* tokens;
};

const Row kRows[] = {
    {"bpe", "", ""},
    {"bpe", " ", "220:0-1"},
    {"bpe", "The keeper's daughter counted 1234 lighted windows.",
     "297:0-3 279:3-5 286:5-8 261:8-10 283:10-12 314:12-14 64:14-15 84:15-16 263:16-19 261:19-21 "
     "282:21-27 275:27-29 319:29-32 18:32-33 19:33-34 318:34-40 275:40-42 293:42-46 67:46-47 "
     "291:47-49 82:49-50 13:50-51"},
    {"bpe", "unkeepable  lightness\n\n  of   waves \t",
     "84:0-1 77:1-2 74:2-3 286:3-6 64:6-7 65:7-8 75:8-9 68:9-10 220:10-11 318:11-17 77:17-18 "
     "285:18-20 82:20-21 198:21-22 198:22-23 220:23-24 273:24-27 220:27-28 220:28-29 324:29-33 "
     "285:33-35 220:35-36 197:36-37"},
    {"bpe", "THE LIGHT'S burning; they'll say \"no\"!",
     "51:0-1 39:1-2 36:2-3 220:3-4 43:4-5 40:5-6 38:6-7 39:7-8 51:8-9 6:9-10 50:10-11 328:11-19 "
     "26:19-20 258:20-24 88:24-25 6:25-26 75:26-27 75:27-28 267:28-30 64:30-31 88:31-32 313:32-34 "
     "77:34-35 78:35-36 1:36-37 0:37-38"},
    {"bpe", "\u00E9t\u00E9 \u00E9te\u0301 na\u0131ve \u0130",
     "308:0-1 83:1-2 308:2-3 220:3-4 308:4-5 83:5-6 68:6-7 136:7-8 223:7-8 266:8-10 64:10-11 "
     "128:11-12 109:11-12 85:12-13 68:13-14 220:14-15 128:15-16 108:15-16"},
    {"bpe", "\u65E5\u672C\u8A9E \u3053\u3093\u306B\u3061\u306F\uC548\uB155",
     "312:0-1 306:0-2 321:1-2 164:2-3 103:2-3 252:2-3 220:3-4 277:4-5 241:4-5 159:5-6 224:5-6 "
     "241:5-6 277:6-7 104:6-7 277:7-8 94:7-8 277:8-9 107:8-9 168:9-10 243:9-10 230:9-10 167:10-11 "
     "227:10-11 243:10-11"},
    {"bpe", "\u0928\u092E\u0938\u094D\u0924\u0947 \u092E\u093F\u0924\u094D\u0930",
     "276:0-1 101:0-1 276:1-2 106:1-2 276:2-3 116:2-3 311:3-4 235:3-4 276:4-5 97:4-5 311:5-6 "
     "229:5-6 220:6-7 276:7-8 106:7-8 276:8-9 123:8-9 276:9-10 97:9-10 311:10-11 235:10-11 "
     "276:11-12 108:11-12"},
    {"bpe", "a<|endoftext|>b <s> </s> [MASK] [CLS]",
     "64:0-1 329:1-14 65:14-15 220:15-16 27:16-17 82:17-18 29:18-19 220:19-20 27:20-21 14:21-22 "
     "82:22-23 29:23-24 220:24-25 58:25-26 44:26-27 32:27-28 50:28-29 42:29-30 60:30-31 220:31-32 "
     "58:32-33 34:33-34 43:34-35 50:35-36 60:36-37"},
    {"bpe", "\U0001F469\u200D\U0001F680 ok?",
     "172:0-1 253:0-1 239:0-1 102:0-1 158:1-2 222:1-2 235:1-2 172:2-3 253:2-3 248:2-3 222:2-3 "
     "220:3-4 78:4-5 74:5-6 30:6-7"},
    {"bpe", "\u3000wide\u00A0spaces\u200Bhere",
     "159:0-1 222:0-1 222:0-1 86:1-2 72:2-3 67:3-4 68:4-5 126:5-6 254:5-6 82:6-7 79:7-8 64:8-9 "
     "66:9-10 285:10-12 158:12-13 222:12-13 233:12-13 256:13-15 81:15-16 68:16-17"},
    {"bpe", "\uFB01ne \uFF21\uFF22\uFF23 \u00BD \u2167 \u0663\u0664",
     "171:0-1 105:0-1 223:0-1 77:1-2 68:2-3 220:3-4 171:4-5 120:4-5 94:4-5 171:5-6 120:5-6 95:5-6 "
     "171:6-7 120:6-7 96:6-7 220:7-8 126:8-9 121:8-9 220:9-10 158:10-11 227:10-11 100:10-11 "
     "220:11-12 149:12-13 96:12-13 149:13-14 97:13-14"},
    {"bpe", "\u2581under\u2581 <0x0A> ##ing",
     "158:0-1 244:0-1 223:0-1 84:1-2 77:2-3 67:3-4 261:4-6 158:6-7 244:6-7 223:6-7 220:7-8 27:8-9 "
     "15:9-10 87:10-11 15:11-12 32:12-13 29:13-14 220:14-15 2:15-16 2:16-17 265:17-20"},
    {"spm-bpe with marks", "", "1:0-0"},
    {"spm-bpe with marks", " ", "1:0-0 271:0-1 271:0-1"},
    {"spm-bpe with marks", "The keeper's daughter counted 1234 lighted windows.",
     "1:0-0 271:0-1 301:0-1 259:1-3 271:3-4 289:4-5 272:5-6 272:6-7 288:7-8 264:8-10 291:10-11 "
     "277:11-12 271:12-13 283:13-14 281:14-15 285:15-16 266:16-19 264:19-21 271:21-22 294:22-23 "
     "278:23-24 285:24-25 275:25-26 273:26-27 272:27-28 283:28-29 271:29-30 298:30-31 299:31-32 "
     "308:32-33 309:33-34 271:34-35 286:35-36 269:36-40 272:40-41 283:41-42 263:42-44 262:44-46 "
     "283:46-47 278:47-48 282:48-49 277:49-50 292:50-51"},
    {"spm-bpe with marks", "unkeepable  lightness\n\n  of   waves \t",
     "1:0-0 271:0-1 285:0-1 275:1-2 289:2-3 272:3-4 272:4-5 288:5-6 281:6-7 293:7-8 286:8-9 "
     "272:9-10 271:10-11 271:11-12 286:12-13 269:13-17 275:17-18 272:18-19 277:19-20 277:20-21 "
     "13:21-22 13:22-23 271:23-24 271:24-25 278:25-26 287:26-27 271:27-28 271:28-29 263:29-31 "
     "281:31-32 296:32-33 272:33-34 277:34-35 271:35-36 12:36-37"},
    {"spm-bpe with marks", "THE LIGHT'S burning; they'll say \"no\"!",
     "1:0-0 271:0-1 301:0-1 311:1-2 72:2-3 271:3-4 79:4-5 312:5-6 74:6-7 311:7-8 301:8-9 291:9-10 "
     "314:10-11 271:11-12 293:12-13 285:13-14 279:14-15 275:15-16 268:16-19 310:19-20 261:20-24 "
     "297:24-25 291:25-26 286:26-27 286:27-28 267:28-30 281:30-31 297:31-32 271:32-33 295:33-34 "
     "275:34-35 278:35-36 295:36-37 36:37-38"},
    {"spm-bpe with marks", "\u00E9t\u00E9 \u00E9te\u0301 na\u0131ve \u0130",
     "1:0-0 271:0-1 302:0-1 273:1-2 302:2-3 271:3-4 302:4-5 273:5-6 272:6-7 207:7-8 132:7-8 "
     "270:8-10 281:10-11 199:11-12 180:11-12 296:12-13 272:13-14 271:14-15 199:15-16 179:15-16"},
    {"spm-bpe with marks", "\u65E5\u672C\u8A9E \u3053\u3093\u306B\u3061\u306F\uC548\uB155",
     "1:0-0 271:0-1 306:0-1 307:1-2 337:2-3 271:3-4 332:4-5 336:5-6 334:6-7 333:7-8 335:8-9 "
     "339:9-10 338:10-11"},
    {"spm-bpe with marks", "\u0928\u092E\u0938\u094D\u0924\u0947 \u092E\u093F\u0924\u094D\u0930",
     "1:0-0 271:0-1 327:0-1 328:1-2 329:2-3 331:3-4 326:4-5 330:5-6 271:6-7 328:7-8 227:8-9 "
     "167:8-9 194:8-9 326:9-10 331:10-11 227:11-12 167:11-12 179:11-12"},
    {"spm-bpe with marks", "a<|endoftext|>b <s> </s> [MASK] [CLS]",
     "1:0-0 271:0-1 281:0-1 63:1-2 127:2-3 272:3-4 275:4-5 283:5-6 278:6-7 287:7-8 273:8-9 "
     "272:9-10 123:10-11 273:11-12 127:12-13 65:13-14 293:14-15 271:15-16 1:16-19 271:19-20 "
     "271:19-20 2:20-24 271:24-25 271:24-25 94:25-26 80:26-27 68:27-28 314:28-29 313:29-30 "
     "96:30-31 271:31-32 94:32-33 70:33-34 79:34-35 314:35-36 96:36-37"},
    {"spm-bpe with marks", "\U0001F469\u200D\U0001F680 ok?",
     "1:0-0 271:0-1 243:0-1 162:0-1 148:0-1 172:0-1 229:1-2 131:1-2 144:1-2 243:2-3 162:2-3 "
     "157:2-3 131:2-3 271:3-4 278:4-5 289:5-6 66:6-7"},
    {"spm-bpe with marks", "\u3000wide\u00A0spaces\u200Bhere",
     "1:0-0 271:0-1 230:0-1 131:0-1 131:0-1 282:1-2 276:2-3 283:3-4 272:4-5 197:5-6 163:5-6 "
     "277:6-7 288:7-8 281:8-9 294:9-10 272:10-11 277:11-12 229:12-13 131:12-13 142:12-13 259:13-15 "
     "279:15-16 272:16-17"},
    {"spm-bpe with marks", "\uFB01ne \uFF21\uFF22\uFF23 \u00BD \u2167 \u0663\u0664",
     "1:0-0 271:0-1 242:0-1 175:0-1 132:0-1 275:1-2 272:2-3 271:3-4 242:4-5 191:4-5 164:4-5 "
     "242:5-6 191:5-6 165:5-6 242:6-7 191:6-7 166:6-7 271:7-8 197:8-9 192:8-9 271:9-10 229:10-11 "
     "136:10-11 170:10-11 271:11-12 220:12-13 166:12-13 220:13-14 167:13-14"},
    {"spm-bpe with marks", "\u2581under\u2581 <0x0A> ##ing",
     "1:0-0 271:0-1 271:0-1 285:1-2 275:2-3 283:3-4 264:4-6 271:6-7 271:7-8 63:8-9 51:9-10 "
     "123:10-11 51:11-12 68:12-13 65:13-14 271:14-15 38:15-16 38:16-17 268:17-20"},
    {"unigram with Metaspace", "", "2:0-0"},
    {"unigram with Metaspace", " ", "339:0-1 2:0-0"},
    {"unigram with Metaspace", "The keeper's daughter counted 1234 lighted windows.",
     "339:0-1 315:0-1 336:1-2 338:2-3 271:3-10 261:10-11 264:11-12 339:12-13 276:13-14 330:14-15 "
     "328:15-16 331:16-17 336:17-18 337:18-19 338:19-20 332:20-21 269:21-29 339:29-30 317:30-31 "
     "316:31-32 308:32-33 307:33-34 339:34-35 327:35-36 334:36-37 331:37-38 336:38-39 337:39-40 "
     "338:40-41 276:41-42 339:42-43 329:43-44 334:44-45 335:45-46 276:46-47 333:47-48 329:48-49 "
     "264:49-50 263:50-51 2:0-0"},
    {"unigram with Metaspace", "unkeepable  lightness\n\n  of   waves \t",
     "339:0-1 328:0-1 335:1-2 324:2-3 338:3-4 338:4-5 325:5-6 330:6-7 322:7-8 327:8-9 338:9-10 "
     "339:10-11 339:11-12 327:12-13 334:13-14 331:14-15 336:15-16 337:16-17 335:17-18 338:18-19 "
     "264:19-20 264:20-21 13:21-23 13:21-23 339:23-24 262:24-27 339:27-28 339:28-29 274:29-35 "
     "339:35-36 12:36-37 2:0-0"},
    {"unigram with Metaspace", "THE LIGHT'S burning; they'll say \"no\"!",
     "339:0-1 315:0-1 306:1-2 72:2-3 339:3-4 79:4-5 305:5-6 74:6-7 306:7-8 315:8-9 261:9-10 "
     "303:10-11 268:11-19 277:19-20 259:20-24 318:24-25 261:25-26 327:26-27 327:27-28 339:28-29 "
     "264:29-30 330:30-31 318:31-32 267:32-34 335:34-35 333:35-36 320:36-37 36:37-38 2:0-0"},
    {"unigram with Metaspace", "\u00E9t\u00E9 \u00E9te\u0301 na\u0131ve \u0130",
     "339:0-1 314:0-1 337:1-2 314:2-3 339:3-4 314:4-5 337:5-6 338:6-7 207:7-8 132:7-8 339:8-9 "
     "335:9-10 330:10-11 199:11-12 180:11-12 319:12-13 338:13-14 339:14-15 199:15-16 179:15-16 "
     "2:0-0"},
    {"unigram with Metaspace", "\u65E5\u672C\u8A9E \u3053\u3093\u306B\u3061\u306F\uC548\uB155",
     "339:0-1 310:0-1 309:1-2 280:2-3 339:3-4 285:4-5 281:5-6 283:6-7 284:7-8 282:8-9 278:9-10 "
     "279:10-11 2:0-0"},
    {"unigram with Metaspace", "\u0928\u092E\u0938\u094D\u0924\u0947 \u092E\u093F\u0924\u094D\u0930",
     "339:0-1 290:0-1 289:1-2 288:2-3 286:3-4 291:4-5 287:5-6 339:6-7 289:7-8 227:8-9 167:8-9 "
     "194:8-9 291:9-10 286:10-11 227:11-12 167:11-12 179:11-12 2:0-0"},
    {"unigram with Metaspace", "a<|endoftext|>b <s> </s> [MASK] [CLS]",
     "339:0-1 330:0-1 63:1-3 127:1-3 338:3-4 335:4-5 276:5-6 333:6-7 326:7-8 337:8-9 338:9-10 "
     "123:10-11 337:11-12 127:12-14 65:12-14 322:14-15 339:15-16 1:16-19 339:19-20 2:20-24 "
     "339:24-25 94:25-28 80:25-28 68:25-28 303:28-29 304:29-30 96:30-31 339:31-32 94:32-35 "
     "70:32-35 79:32-35 303:35-36 96:36-37 2:0-0"},
    {"unigram with Metaspace", "\U0001F469\u200D\U0001F680 ok?",
     "339:0-1 243:0-3 162:0-3 148:0-3 172:0-3 229:0-3 131:0-3 144:0-3 243:0-3 162:0-3 157:0-3 "
     "131:0-3 339:3-4 333:4-5 324:5-6 66:6-7 2:0-0"},
    {"unigram with Metaspace", "\u3000wide\u00A0spaces\u200Bhere",
     "339:0-1 230:0-1 131:0-1 131:0-1 329:1-2 334:2-3 276:3-4 338:4-5 197:5-6 163:5-6 264:6-7 "
     "325:7-8 330:8-9 321:9-10 338:10-11 264:11-12 229:12-13 131:12-13 142:12-13 336:13-14 "
     "338:14-15 332:15-16 338:16-17 2:0-0"},
    {"unigram with Metaspace", "\uFB01ne \uFF21\uFF22\uFF23 \u00BD \u2167 \u0663\u0664",
     "339:0-1 242:0-1 175:0-1 132:0-1 335:1-2 338:2-3 339:3-4 242:4-7 191:4-7 164:4-7 242:4-7 "
     "191:4-7 165:4-7 242:4-7 191:4-7 166:4-7 339:7-8 197:8-9 192:8-9 339:9-10 229:10-11 136:10-11 "
     "170:10-11 339:11-12 220:12-14 166:12-14 220:12-14 167:12-14 2:0-0"},
    {"unigram with Metaspace", "\u2581under\u2581 <0x0A> ##ing",
     "339:0-1 328:1-2 335:2-3 276:3-4 338:4-5 332:5-6 339:6-7 339:7-8 13:8-14 339:14-15 38:15-17 "
     "38:15-17 334:17-18 335:18-19 331:19-20 2:0-0"},
    {"wordpiece", "", "2:0-0 3:0-0"},
    {"wordpiece", " ", "2:0-0 3:0-0"},
    {"wordpiece", "The keeper's daughter counted 1234 lighted windows.",
     "2:0-0 114:0-3 141:4-8 115:8-10 6:10-11 31:11-12 18:13-14 84:14-15 77:15-16 118:16-19 "
     "115:19-21 128:22-27 127:27-29 142:30-32 90:32-33 91:33-34 131:35-40 127:40-42 134:43-46 "
     "83:46-47 138:47-49 78:49-50 8:50-51 3:0-0"},
    {"wordpiece", "unkeepable  lightness\n\n  of   waves \t",
     "2:0-0 33:0-1 67:1-2 82:2-3 69:3-4 136:4-6 84:6-7 87:7-8 86:8-9 69:9-10 131:12-17 67:17-18 "
     "137:18-20 78:20-21 123:25-27 150:30-32 157:32-35 3:0-0"},
    {"wordpiece", "THE LIGHT'S burning; they'll say \"no\"!",
     "2:0-0 114:0-3 131:4-9 6:9-10 31:10-11 143:12-14 155:14-19 14:19-20 114:21-24 80:24-25 "
     "6:25-26 25:26-27 86:27-28 146:29-31 80:31-32 5:33-34 27:34-35 76:35-36 5:36-37 1:37-38 3:0-0"},
    {"wordpiece", "\u00E9t\u00E9 \u00E9te\u0301 na\u0131ve \u0130",
     "2:0-0 19:0-1 156:1-3 19:4-5 156:5-7 1:9-14 23:15-16 3:0-0"},
    {"wordpiece", "\u65E5\u672C\u8A9E \u3053\u3093\u306B\u3061\u306F\uC548\uB155",
     "2:0-0 64:0-1 65:1-2 66:2-3 1:4-11 3:0-0"},
    {"wordpiece", "\u0928\u092E\u0938\u094D\u0924\u0947 \u092E\u093F\u0924\u094D\u0930",
     "2:0-0 50:0-1 110:1-2 111:2-3 112:4-5 1:7-12 3:0-0"},
    {"wordpiece", "a<|endoftext|>b <s> </s> [MASK] [CLS]",
     "2:0-0 15:0-1 1:1-2 1:2-3 1:3-12 1:12-13 1:13-14 16:14-15 1:16-17 31:17-18 1:18-19 1:20-21 "
     "1:21-22 31:22-23 1:23-24 4:25-31 2:32-37 3:0-0"},
    {"wordpiece", "\U0001F469\u200D\U0001F680 ok?", "2:0-0 1:0-3 28:4-5 82:5-6 1:6-7 3:0-0"},
    {"wordpiece", "\u3000wide\u00A0spaces\u200Bhere",
     "2:0-0 35:1-2 71:2-3 83:3-4 69:4-5 31:6-7 72:7-8 84:8-9 81:9-10 137:10-12 68:13-14 140:14-17 "
     "3:0-0"},
    {"wordpiece", "\uFB01ne \uFF21\uFF22\uFF23 \u00BD \u2167 \u0663\u0664",
     "2:0-0 1:0-3 1:4-7 1:8-9 1:10-11 1:12-14 3:0-0"},
    {"wordpiece", "\u2581under\u2581 <0x0A> ##ing",
     "2:0-0 1:0-7 1:8-9 1:9-13 1:13-14 1:15-16 1:16-17 130:17-19 70:19-20 3:0-0"},
    {"spm-bpe", "   leading and trailing  ",
     "1:0-0 271:0-1 271:1-2 271:2-3 286:3-4 272:4-5 281:5-6 283:6-7 267:7-10 271:10-11 "
     "281:11-12 275:12-13 283:13-14 260:14-16 279:16-17 281:17-18 276:18-19 286:19-20 "
     "267:20-23 271:23-24 271:24-25"},
    {"spm-bpe", "a \u2581 b\u2581the\t\n ships",
     "1:0-0 281:0-1 271:1-2 229:2-3 153:2-3 132:2-3 271:3-4 293:4-5 229:5-6 153:5-6 132:5-6 "
     "273:6-7 259:7-9 12:9-10 13:10-11 270:11-13 274:13-14 276:14-15 288:15-16 277:16-17"},
    {"spm-bpe", "x<0x41>y <0x \u00E9t\u00E9 \u65E5\u672C",
     "1:0-0 123:0-1 63:1-2 51:2-3 123:3-4 309:4-5 298:5-6 65:6-7 297:7-8 271:8-9 63:9-10 "
     "51:10-11 123:11-12 271:12-13 302:13-14 273:14-15 302:15-16 271:16-17 306:17-18 "
     "307:18-19"},
    {"spm-bpe", "a</s>b <unk> <s> the",
     "1:0-0 281:0-1 2:1-5 293:5-6 271:6-7 0:7-12 271:12-13 1:13-16 261:16-20"},
    {"unigram", "   leading and trailing  ",
     "339:0-1 339:1-2 339:2-3 327:3-4 338:4-5 330:5-6 277:6-7 334:7-8 335:8-9 331:9-10 "
     "339:10-11 330:11-12 335:12-13 277:13-14 339:14-15 337:15-16 332:16-17 330:17-18 "
     "334:18-19 327:19-20 334:20-21 335:21-22 331:22-23 339:23-24 339:24-25 2:0-0"},
    {"unigram", "a \u2581 b\u2581the\t\n ships",
     "330:0-1 339:1-2 229:2-3 153:2-3 132:2-3 339:3-4 322:4-5 229:5-6 153:5-6 132:5-6 337:6-7 "
     "336:7-8 338:8-9 12:9-11 13:9-11 339:11-12 264:12-13 336:13-14 334:14-15 325:15-16 "
     "264:16-17 2:0-0"},
    {"unigram", "x<0x41>y <0x \u00E9t\u00E9 \u65E5\u672C",
     "123:0-1 63:1-4 51:1-4 123:1-4 307:4-5 317:5-6 65:6-7 318:7-8 339:8-9 63:9-12 51:9-12 "
     "123:9-12 339:12-13 314:13-14 337:14-15 314:15-16 339:16-17 310:17-18 309:18-19 2:0-0"},
    {"unigram", "a</s>b <unk> <s> the",
     "330:0-1 2:1-5 322:5-6 339:6-7 0:7-12 339:12-13 1:13-16 259:16-20 2:0-0"},
};

}  // namespace

TEST_CASE("small tokenizers of every kind give the ids and offsets of the Hugging Face library") {
  std::map<std::string, Tokenizer> tokenizers;
  for (const Row& row : kRows) {
    if (tokenizers.count(row.kind) == 0) tokenizers[row.kind] = trained(row.kind);
    INFO(row.kind << ": " << row.text);
    CHECK(shown(tokenizers[row.kind], row.text) == row.tokens);
  }
}

TEST_CASE("spm-bpe and unigram give back any text as it was, and what it says of special tokens is text") {
  std::vector<std::string> texts = hostile_texts();
  for (const char* text : {"   a", " a ", "\u2581 \u2581\u2581 ", "<0x41><0x0a><0x", "<<0xE2><0x96><0x81>",
                           "</s>a<s> <unk>", "\t\n\r\n \v", "\u2585\uFEFF\u0001"}) {
    texts.emplace_back(text);
  }
  texts.emplace_back("a\0 b\0", 5);
  for (const char* kind : {"spm-bpe", "unigram"}) {
    const Tokenizer tokenizer = trained(kind);
    CHECK(tokenizer.lossless());
    for (size_t i = 0; i < texts.size(); i += i + 40 < texts.size() ? 7 : 1) {
      for (const bool special_tokens : {false, true}) {
        const std::vector<int32_t> ids = tokenizer.encode(texts[i], {special_tokens, false});
        if (tokenizer.decode(ids) != texts[i]) FAIL_CHECK(kind << ": " << Json(texts[i]).dump());
        if (special_tokens) continue;
        for (const int32_t id : ids) {
          if (tokenizer.is_special(id)) FAIL_CHECK(kind << ": " << Json(texts[i]).dump() << " has " << id);
        }
      }
    }
  }
}

TEST_CASE("a tokenizer of any kind is the same at any number of threads, and after its file was read back") {
  const std::vector<std::string> texts = hostile_texts();
  CHECK(texts.size() > 4000);
  for (const char* kind : {"bpe", "spm-bpe", "spm-bpe with marks", "unigram", "unigram with marks",
                           "unigram with Metaspace", "wordpiece", "words"}) {
    INFO(kind);
    const Tokenizer tokenizer = trained(kind);
    const std::string json = tokenizer.to_json();
    const Tokenizer back = Tokenizer::parse(json, "t.json");
    CHECK(back.to_json() == json);
    CHECK(back.kind() == tokenizer.kind());
    for (size_t i = 0; i < texts.size(); i += 7) {
      const Encoding encoding = tokenizer.encode_full(texts[i]);
      REQUIRE(back.encode(texts[i]) == encoding.ids);
      REQUIRE(tokenizer.encode(texts[i]) == encoding.ids);
      StreamDecoder stream(tokenizer);
      std::string streamed;
      for (const int32_t id : encoding.ids) streamed += stream.push(id);
      streamed += stream.flush();
      REQUIRE(streamed == tokenizer.decode(encoding.ids));
      if (tokenizer.lossless()) REQUIRE(streamed == texts[i]);
    }
  }
}
