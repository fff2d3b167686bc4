// Without exceptions a failed REQUIRE cannot leave its test case: it ends the program instead.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

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
  doctest::Context context(argc, argv);
  context.setOption("reporters", "stopping");
  return context.run();
}
