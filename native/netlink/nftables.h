// News of nftables, which iptables-nft writes to as well. What the rules are is asked of the
// host's own programs; this tells only when to ask.
#pragma once

#include <string>
#include <vector>

#include "netlink/message.h"
#include "netlink/socket.h"

namespace twill {

// What somebody wants to hear of.
struct NftablesNames {
  std::vector<std::string> tables;  // that such a table comes or goes
  std::vector<std::string> chains;  // that such a chain, or a rule in it, comes or goes
};

// A listener in the network namespace of the thread.
Result<NetlinkSocket> ListenToNftables();

bool Concerns(const NetlinkAnswer& answer, const NftablesNames& names);

}  // namespace twill
