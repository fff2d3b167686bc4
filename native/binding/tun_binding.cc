#include "binding/tun_binding.h"

#include <uv.h>

#include <memory>
#include <optional>

#include "binding/js_call.h"
#include "binding/js_error.h"
#include "binding/js_values.h"
#include "port/plain_tun.h"

namespace twill {

namespace {

// The device and its watch on the event loop. It holds itself until libuv has let go of the handle, and the
// environment waits for that: whoever closes first, JavaScript, the garbage collector or the end of the
// thread.
class WatchedTun {
 public:
  // Null where the event loop cannot watch it.
  static std::shared_ptr<WatchedTun> Make(Napi::Env env, PlainTun device) {
    std::shared_ptr<WatchedTun> self(new WatchedTun(env, std::move(device)));
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    if (uv_poll_init(loop, &self->poll_, self->device_->fd()) != 0) return nullptr;
    self->self_ = self;
    self->poll_.data = self.get();
    napi_add_async_cleanup_hook(
        env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<WatchedTun*>(data)->Close(); },
        self.get(), &self->cleanup_);
    return self;
  }

  const PlainTun& device() const { return *device_; }

  // `events` of libuv; none ends the watch. While there is one it holds `listener`, and with it whoever
  // hears.
  void Watch(int events, const Napi::Value& listener) {
    if (events == 0) {
      uv_poll_stop(&poll_);
      listener_.Reset();
      return;
    }
    listener_ = Napi::Persistent(listener.As<Napi::Function>());
    uv_poll_start(&poll_, events, [](uv_poll_t* poll, int status, int seen) {
      static_cast<WatchedTun*>(poll->data)->Tell(status, seen);
    });
  }

  void KeepAlive(bool keep) {
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
    keep ? uv_ref(handle) : uv_unref(handle);
  }

  // The device goes at once.
  void Close() {
    if (!device_) return;
    uv_poll_stop(&poll_);
    listener_.Reset();
    device_.reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      std::shared_ptr<WatchedTun> self = std::move(static_cast<WatchedTun*>(handle->data)->self_);
      // The last of the environment may go with it, and finalizers that close us once more.
      napi_remove_async_cleanup_hook(self->cleanup_);
    });
  }

 private:
  WatchedTun(Napi::Env env, PlainTun device) : env_(env), device_(std::move(device)) {}

  void Tell(int status, int seen) {
    Napi::HandleScope scope(env_);
    // It may end the watch, or everything.
    std::shared_ptr<WatchedTun> self = self_;
    Napi::Env env = env_;
    bool called =
        CallFromLoop(env, listener_.Value(), {Napi::Number::New(env, status), Napi::Number::New(env, seen)});
    // The environment ends, and its hook has not come to us yet; what ran may have closed us before.
    if (!called && self->device_) uv_poll_stop(&self->poll_);
  }

  Napi::Env env_;
  std::optional<PlainTun> device_;
  uv_poll_t poll_{};
  Napi::FunctionReference listener_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  std::shared_ptr<WatchedTun> self_;
};

class TunObject final : public Napi::ObjectWrap<TunObject> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(
        env, "Tun",
        {InstanceAccessor<&TunObject::Name>("name"), InstanceAccessor<&TunObject::Index>("index"),
         InstanceMethod<&TunObject::Read>("read"), InstanceMethod<&TunObject::Write>("write"),
         InstanceMethod<&TunObject::Watch>("watch"), InstanceMethod<&TunObject::KeepAlive>("keepAlive"),
         InstanceMethod<&TunObject::Close>("close")});
  }
  explicit TunObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TunObject>(info) {}
  // Dropped without a word: the device goes with its last holder.
  ~TunObject() override { CloseDevice(); }

  void Hold(std::shared_ptr<WatchedTun> tun) {
    tun_ = std::move(tun);
    name_ = tun_->device().name();
    index_ = tun_->device().index();
  }

 private:
  WatchedTun* OpenOrThrow(const Napi::CallbackInfo& info) {
    if (tun_ == nullptr) ThrowError(info.Env(), Error{"ERR_TWILL_CLOSED", "TUN " + name_ + " is released"});
    return tun_.get();
  }
  void CloseDevice() {
    if (tun_ != nullptr) tun_->Close();
    tun_.reset();
  }

  Napi::Value Name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), name_); }
  Napi::Value Index(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), index_); }

  Napi::Value Read(const Napi::CallbackInfo& info) {
    WatchedTun* tun = OpenOrThrow(info);
    if (tun == nullptr) return info.Env().Undefined();
    Bytes room = BytesOf(info[0]);
    ssize_t length = tun->device().Read(const_cast<uint8_t*>(room.data), room.size);
    return Napi::Number::New(info.Env(), static_cast<double>(length));
  }
  Napi::Value Write(const Napi::CallbackInfo& info) {
    WatchedTun* tun = OpenOrThrow(info);
    if (tun == nullptr) return info.Env().Undefined();
    Bytes packet = BytesOf(info[0]);
    return Napi::Number::New(info.Env(), tun->device().Write(packet.data, packet.size));
  }
  void Watch(const Napi::CallbackInfo& info) {
    WatchedTun* tun = OpenOrThrow(info);
    if (tun == nullptr) return;
    int wanted = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : 0;
    tun->Watch(info[1].IsFunction() ? wanted & (UV_READABLE | UV_WRITABLE) : 0, info[1]);
  }
  void KeepAlive(const Napi::CallbackInfo& info) {
    if (tun_ != nullptr) tun_->KeepAlive(info[0].ToBoolean());
  }
  void Close(const Napi::CallbackInfo&) { CloseDevice(); }

  std::shared_ptr<WatchedTun> tun_;
  std::string name_;
  int index_ = 0;
};

}  // namespace

Napi::Value OpenTunDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto refuse = [env](const Error& error) {
    ThrowError(env, error);
    return env.Undefined();
  };
  if (!info[0].IsString()) return refuse(Error{"ERR_TWILL_ARGUMENT", "openTun takes a name"});
  auto device = PlainTun::Open(info[0].As<Napi::String>().Utf8Value());
  if (!device) return refuse(device.error());
  Napi::Object object = TunObject::Class(env).New({});
  std::shared_ptr<WatchedTun> tun = WatchedTun::Make(env, std::move(*device));
  if (tun == nullptr) return refuse(Error{"ERR_TWILL_DEVICE", "the event loop cannot watch a TUN device"});
  TunObject::Unwrap(object)->Hold(std::move(tun));
  return object;
}

}  // namespace twill
