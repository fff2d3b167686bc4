// Without exceptions a failed REQUIRE cannot leave its test case: it ends the program instead.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <bit>
#include <cstdlib>
#include <iostream>

#include "base/checksum.h"

namespace {

struct Stopping final : doctest::ConsoleReporter {
  explicit Stopping(const doctest::ContextOptions& options) : ConsoleReporter(options) {}

  void log_assert(const doctest::AssertData& assertion) override {
    ConsoleReporter::log_assert(assertion);
    if (!assertion.m_failed || (assertion.m_at & doctest::assertType::is_require) == 0) return;
    std::cout << "a required assertion failed: the rest was not run" << std::endl;
    std::_Exit(1);
  }
};
REGISTER_REPORTER("stopping", 1, Stopping);

}  // namespace

int main(int argc, char** argv) {
  // Which processor was tested: test/package/portable.test.ts wants to know.
  const char* order = std::endian::native == std::endian::big ? "big-endian" : "little-endian";
  std::cout << "memory is " << order << ", checksum by " << twill::ChecksumKind() << std::endl;
  doctest::Context context(argc, argv);
  context.setOption("reporters", "stopping");
  return context.run();
}
