// A netlink socket that JavaScript listens to on its event loop.
#pragma once

#include <napi.h>

#include <functional>
#include <vector>

#include "netlink/socket.h"

namespace twill {

// What came, as the argument of the listener; undefined: nothing to tell. `lost`: the kernel dropped some.
using NetlinkNews =
    std::function<Napi::Value(Napi::Env env, const std::vector<NetlinkAnswer>& answers, bool lost)>;

// Calls `listener` until the returned object's `stop()`, or until the environment ends. Keeps no process
// alive.
Napi::Object WatchNetlink(Napi::Env env, NetlinkSocket socket, Napi::Function listener, NetlinkNews news);

}  // namespace twill
