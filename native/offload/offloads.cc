#include "offload/offloads.h"

namespace twill {

namespace {
constexpr const char* kNames[] = {
#define OFFLOAD(enumerator, name, meaning) name,
#include "offload/offloads.def"
#undef OFFLOAD
};
}  // namespace

const char* OffloadName(Offload offload) {
  return kNames[static_cast<size_t>(offload)];
}

}  // namespace twill
