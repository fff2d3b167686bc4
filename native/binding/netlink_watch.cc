#include "binding/netlink_watch.h"

#include <uv.h>

#include <memory>

#include "binding/js_call.h"

namespace twill {

namespace {

// Its memory lives until libuv has let go.
struct Watch {
  Watch(NetlinkSocket s, Napi::Function f, NetlinkNews n)
      : socket(std::move(s)), listener(Napi::Persistent(f)), news(std::move(n)) {}
  NetlinkSocket socket;
  Napi::FunctionReference listener;
  NetlinkNews news;
  uv_poll_t poll{};
  bool stopped = false;

  void Stop() {
    if (stopped) return;
    stopped = true;
    uv_poll_stop(&poll);
    // Now: the memory may outlive what Node-API has of the environment.
    listener.Reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&poll),
             [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
  }

  void Read() {
    Napi::Env env = listener.Env();
    Napi::HandleScope scope(env);
    bool lost = false;
    std::vector<NetlinkAnswer> answers = socket.Drain(lost);
    Napi::Value told = news(env, answers, lost);
    if (told.IsUndefined()) return;
    bool called = CallFromLoop(env, listener.Value(), {told});
    // The environment ends, and its hook has not come to us yet; what ran may have stopped us before.
    if (!called && !stopped) uv_poll_stop(&poll);
  }
};

}  // namespace

Napi::Object WatchNetlink(Napi::Env env, NetlinkSocket socket, Napi::Function listener, NetlinkNews news) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* watch = new Watch(std::move(socket), listener, std::move(news));
  uv_poll_init(loop, &watch->poll, watch->socket.fd());
  watch->poll.data = watch;
  uv_poll_start(&watch->poll, UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Watch*>(poll->data)->Read(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll));
  // The environment may end before anybody stops it.
  auto hook = [](void* data) { static_cast<Watch*>(data)->Stop(); };
  napi_add_env_cleanup_hook(env, hook, watch);
  Napi::Object handle = Napi::Object::New(env);
  auto live = std::make_shared<Watch*>(watch);
  handle.Set("stop", Napi::Function::New(env, [live, hook](const Napi::CallbackInfo& call) {
               if (*live == nullptr) return;
               napi_remove_env_cleanup_hook(call.Env(), hook, *live);
               (*live)->Stop();
               *live = nullptr;
             }));
  return handle;
}

}  // namespace twill
