// What GCC's headers refer to that only newer systems have (glibc 2.32, libstdc++ of GCC 9 and 11), so that
// the addon loads on older ones: see glibc_floor.h.
#include <cstdlib>
#include <memory>

#if defined(__GLIBC__) && defined(__GLIBCXX__)

// std::shared_ptr asks whether it may count without atomics. Never: there are workers.
extern "C" __attribute__((visibility("hidden")))
const char twill_single_threaded __asm__("__libc_single_threaded");
const char twill_single_threaded = 0;

namespace std {

// Without exceptions the library's own would end the process as well.
void __throw_bad_array_new_length() {
  abort();
}

// Only std::make_shared of GCC 8 and older made objects for which the answer is yes.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept {
  return false;
}

}  // namespace std

#endif
