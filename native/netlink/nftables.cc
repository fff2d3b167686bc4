#include "netlink/nftables.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>

namespace twill {

namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<NetlinkSocket> ListenToNftables() {
  return NetlinkSocket::Open(1u << (NFNLGRP_NFTABLES - 1), NETLINK_NETFILTER);
}

bool Concerns(const NetlinkAnswer& answer, const NftablesNames& names) {
  if (NFNL_SUBSYS_ID(answer.type) != NFNL_SUBSYS_NFTABLES) return false;
  ByteSpan attributes = answer.AttributesAfter<nfgenmsg>();
  switch (NFNL_MSG_TYPE(answer.type)) {
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_DELTABLE:
      return Has(names.tables, AttributeText(attributes, NFTA_TABLE_NAME));
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
      return Has(names.chains, AttributeText(attributes, NFTA_CHAIN_NAME));
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
      return Has(names.chains, AttributeText(attributes, NFTA_RULE_CHAIN));
    default:
      return false;
  }
}

}  // namespace twill
