// Which of twelve tags are equal to one: a bit for each.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace twill {

inline constexpr size_t kTags = 12;

inline uint32_t MatchTagsPlainly(const uint8_t* tags, uint8_t wanted) {
  uint32_t mask = 0;
  for (size_t i = 0; i < kTags; i++) mask |= static_cast<uint32_t>(tags[i] == wanted) << i;
  return mask;
}

// `tags` stands in 16 readable bytes, aligned to 16.
inline uint32_t MatchTags(const uint8_t* tags, uint8_t wanted) {
#if defined(__SSE2__)
  __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(tags));
  __m128i equal = _mm_cmpeq_epi8(all, _mm_set1_epi8(static_cast<char>(wanted)));
  return static_cast<uint32_t>(_mm_movemask_epi8(equal)) & ((1u << kTags) - 1);
#else
  return MatchTagsPlainly(tags, wanted);
#endif
}

}  // namespace twill
