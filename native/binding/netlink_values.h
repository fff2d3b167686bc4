// What the two files of netlink's binding share.
#pragma once

#include <napi.h>

#include "netlink/route.h"

namespace twill {

Napi::Object RouteToJs(Napi::Env env, const Route& route);

// Adds what changes many entries at once, and what reads those of vxlan devices.
void AddNetlinkChanges(Napi::Env env, Napi::Object& netlink);

}  // namespace twill
