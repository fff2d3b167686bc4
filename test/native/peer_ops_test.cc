#include "engine/peer_ops.h"

#include <doctest/doctest.h>

#include "support/packets.h"
#include "support/random.h"

namespace twill {

TEST_CASE("peer operations: the fields of a record") {
  auto bytes = test::Hex(
      "01 06 40 04 2118 c6d2326f8f44 00000000 fd000005000000020000000000000000 "
      "c0000202000000000000000000000000"
      "02 04 18 00 0000 000000000000 00000000 0a050200000000000000000000000000 "
      "00000000000000000000000000000000"
      "03 00 00 00 0000 000000000000 00000000 00000000000000000000000000000000 "
      "00000000000000000000000000000000");
  auto ops = ParsePeerOps(bytes);
  REQUIRE(ops.ok());
  REQUIRE(ops->size() == 3);
  const PeerOp& set = (*ops)[0];
  CHECK(set.kind == PeerOp::Kind::kSet);
  CHECK(set.row.subnet == test::Prefix("fd00:5:0:2::/64"));
  CHECK(set.row.endpoint == Endpoint{test::Address("192.0.2.2"), 8472});
  CHECK(set.mac == Mac{0xc6, 0xd2, 0x32, 0x6f, 0x8f, 0x44});
  CHECK((*ops)[1].kind == PeerOp::Kind::kDelete);
  CHECK((*ops)[1].row.subnet == test::Prefix("10.5.2.0/24"));
  CHECK((*ops)[2].kind == PeerOp::Kind::kClear);
  CHECK(ParsePeerOps({})->empty());
}

TEST_CASE("peer operations: of random bytes either all is understood or an error says what is wrong") {
  TWILL_RANDOM(random);
  size_t understood = 0, refused = 0;
  for (size_t i = 0; i < test::Times(100'000); i++) {
    test::Bytes bytes = random.Bytes(random.OneIn(10) ? random.Below(200) : random.Below(4) * kPeerOpBytes);
    for (size_t at = 0; at + 4 <= bytes.size(); at += kPeerOpBytes) {
      if (random.OneIn(20)) continue;
      bytes[at] = static_cast<uint8_t>(1 + random.Below(3));
      bytes[at + 1] = random.OneIn(2) ? 4 : 6;
      bytes[at + 2] = static_cast<uint8_t>(random.Below(random.OneIn(2) ? 33 : 131));
      bytes[at + 3] = random.OneIn(2) ? 4 : 6;
    }
    test::Exact exact(bytes);
    auto ops = ParsePeerOps({exact.data(), exact.size()});
    if (!ops) {
      refused++;
      REQUIRE(std::string(ops.error().code) == "ERR_TWILL_ARGUMENT");
      REQUIRE(ops.error().message.starts_with("peer operation "));
      continue;
    }
    understood++;
    REQUIRE(ops->size() * kPeerOpBytes == bytes.size());
    for (const PeerOp& op : *ops) {
      if (op.kind == PeerOp::Kind::kClear) continue;
      uint8_t family = op.row.subnet.address.family;
      REQUIRE((family == 4 || family == 6));
      REQUIRE(op.row.subnet.length <= (family == 4 ? 32 : 128));
      if (op.kind == PeerOp::Kind::kSet) REQUIRE(op.row.endpoint.address.family != 0);
    }
  }
  CHECK(understood > 100);
  CHECK(refused > 100);
}

}  // namespace twill
