#!/usr/bin/env bash
# A node's host: its own mounts and processes in the network that it is started in; containerd, kube-proxy and, at last, kubelet.
# NODE its name, DISK its folder, CGROUP its place in each hierarchy, PROGRAMS those of Kubernetes, CONFIG the folder of
# kubeconfigs and certificates, ADDRESS its own, IMAGES the archives to import, PAUSE the image of a pod's first container;
# FOLDERS are a host's own.
set -euo pipefail
mkdir -p "$DISK/cgroup"
mount --rbind /sys/fs/cgroup "$DISK/cgroup"
# The interfaces of this network.
mount -t sysfs sysfs /sys
mount --rbind "$DISK/cgroup" /sys/fs/cgroup
for folder in $FOLDERS; do
  mkdir -p "$DISK$folder"
  mount --bind "$DISK$folder" "$folder"
  mount --make-rshared "$folder"
done
touch "$DISK/run/xtables.lock"
mount --bind "$DISK/run/xtables.lock" /run/xtables.lock
# What kubelet wants of the kernel is no wish of this machine: it finds it so.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file="$DISK/$(basename "${setting%=*}")"
  printf '%s\n' "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
cp /usr/lib/cni/{bridge,host-local,portmap,loopback} /opt/cni/bin/
for hierarchy in /sys/fs/cgroup/*/; do
  [ -e "$hierarchy/cgroup.clone_children" ] && mkdir -p "$hierarchy/$CGROUP"
done
for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" > "/sys/fs/cgroup/cpuset/$CGROUP/$file"; done
cat > "$DISK/containerd.toml" <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  # A sandbox may not let us lower it.
  restrict_oom_score_adj = true
TOML
containerd --config "$DISK/containerd.toml" > "$DISK/containerd.log" 2>&1 &
until ctr version > /dev/null 2>&1; do sleep 0.1; done
for image in $IMAGES; do ctr --namespace k8s.io images import "$image" > /dev/null; done
"$PROGRAMS/kube-proxy" --kubeconfig="$CONFIG/proxy.conf" --cluster-cidr=10.244.0.0/16 --hostname-override="$NODE" \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 \
  --proxy-mode=iptables > "$DISK/proxy.log" 2>&1 &
exec "$PROGRAMS/kubelet" --kubeconfig="$CONFIG/$NODE.conf" --hostname-override="$NODE" --node-ip="$ADDRESS" \
  --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
  --cgroup-driver=cgroupfs --cgroup-root="/$CGROUP" --fail-swap-on=false --network-plugin=cni --resolv-conf= \
  --tls-cert-file="$CONFIG/$NODE.pem" --tls-private-key-file="$CONFIG/$NODE.key" --client-ca-file="$CONFIG/ca.pem" \
  --authorization-mode=Webhook --authentication-token-webhook --anonymous-auth=false \
  --image-gc-high-threshold=100 --eviction-hard= > "$DISK/kubelet.log" 2>&1
