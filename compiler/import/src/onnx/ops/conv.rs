//! Convolutions: attributes, padding, and the general form for any number of spatial axes.

use crate::onnx::call::{Call, Res, bad_attribute, misfit, variant};
use crate::onnx::ctx::Ctx;
use tricot_dialects::{Attr, ValueId};
use tricot_types::{DType, Poly};

/// What slides: one entry a spatial axis.
pub struct Sliding {
    pub kernel: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    pub low: Vec<Poly>,
    pub high: Vec<Poly>,
}

/// A list attribute with one entry an axis, each at least 1.
pub fn per_axis(call: &Call, name: &str, n: usize) -> Res<Vec<i64>> {
    let list = call.ints(name)?.unwrap_or_else(|| vec![1; n]);
    match list.len() == n && list.iter().all(|v| (1..=1 << 31).contains(v)) {
        true => Ok(list),
        false => Err(bad_attribute(format!("`{name}` is {list:?}; {n} positive numbers are needed"))),
    }
}

impl Sliding {
    /// Reads strides, dilations and padding for the given spatial sizes.
    pub fn read(call: &Call, sizes: &[Poly], kernel: Vec<i64>) -> Res<Sliding> {
        let n = sizes.len();
        if kernel.len() != n || kernel.iter().any(|k| !(1..=1 << 31).contains(k)) {
            return Err(bad_attribute(format!("the kernel {kernel:?} for {n} spatial axes")));
        }
        let stride = per_axis(call, "strides", n)?;
        let dilation = per_axis(call, "dilations", n)?;
        let (mut low, mut high) = (vec![Poly::default(); n], vec![Poly::default(); n]);
        match call.text("auto_pad", "NOTSET")?.as_str() {
            "VALID" => {}
            "NOTSET" => {
                if let Some(p) = call.ints("pads")? {
                    if p.len() != 2 * n || p.iter().any(|v| !(0..=1 << 31).contains(v)) {
                        return Err(bad_attribute(format!(
                            "`pads` is {p:?}; {} numbers of at least 0 are needed",
                            2 * n
                        )));
                    }
                    low = p[..n].iter().map(|v| Poly::constant(*v)).collect();
                    high = p[n..].iter().map(|v| Poly::constant(*v)).collect();
                }
            }
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                for i in 0..n {
                    let reach = Poly::constant((kernel[i] - 1) * dilation[i] + 1);
                    let s = Poly::constant(stride[i]);
                    let total = (sizes[i].ceil_div(stride[i]) - 1.into()) * s + reach - sizes[i].clone();
                    let total = match total.as_constant() {
                        Some(t) => Poly::constant(t.max(0)),
                        None if stride[i] == 1 => total,
                        None => {
                            return Err(variant(format!(
                                "`{same}` with the symbolic size {} and stride {}",
                                sizes[i], stride[i]
                            )));
                        }
                    };
                    let half = total.floor_div(2);
                    let rest = total - half.clone();
                    (low[i], high[i]) = if same == "SAME_UPPER" { (half, rest) } else { (rest, half) };
                }
            }
            other => return Err(bad_attribute(format!("`auto_pad` is `{other}`"))),
        }
        Ok(Sliding { kernel, stride, dilation, low, high })
    }

    /// `[low…, high…]` if all are numbers.
    pub fn pads(&self) -> Option<Vec<i64>> {
        self.low.iter().chain(&self.high).map(Poly::as_constant).collect()
    }

    /// Pads the last axes of `x`.
    pub fn padded(&self, c: &mut Ctx, x: ValueId, value: f64) -> Res<ValueId> {
        if self.low.iter().chain(&self.high).all(Poly::is_zero) {
            return Ok(x);
        }
        let skip = c.rank(x) - self.low.len();
        let full = |p: &[Poly]| vec![Poly::default(); skip].into_iter().chain(p.iter().cloned()).collect::<Vec<_>>();
        c.b.pad(x, &full(&self.low), &full(&self.high), value)
    }

    /// The sliding-window view of the last axes of `x`; the window's axes come last.
    pub fn windows(&self, c: &mut Ctx, x: ValueId) -> Res<ValueId> {
        let (rank, n) = (c.rank(x) as i64, self.kernel.len() as i64);
        let attrs = [
            ("axes", Attr::Ints((rank - n..rank).collect())),
            ("size", Attr::Ints(self.kernel.clone())),
            ("stride", Attr::Ints(self.stride.clone())),
            ("dilation", Attr::Ints(self.dilation.clone())),
        ];
        c.op1("core.window", &[x], &attrs)
    }
}

/// The kernel from attribute `kernel_shape` or the filter's shape.
pub fn kernel_of(c: &mut Ctx, call: &Call, w: ValueId) -> Res<Vec<i64>> {
    let shape = c.static_shape(w, "the filter")?;
    let from_filter = shape.get(2..).unwrap_or(&[]).to_vec();
    match call.ints("kernel_shape")? {
        Some(k) if k != from_filter => Err(misfit(format!("`kernel_shape` is {k:?}, the filter has {from_filter:?}"))),
        _ => Ok(from_filter),
    }
}

/// Conv.
pub fn conv(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let dtype = c.dtype(x);
    let y = conv_of(c, call, x, w, dtype)?;
    Ok(vec![match call.maybe(2) {
        Some(bias) => add_channel(c, y, bias)?,
        None => y,
    }])
}

/// Adds a vector over axis 1.
pub fn add_channel(c: &mut Ctx, y: ValueId, bias: ValueId) -> Res<ValueId> {
    let shape = c.shape(y);
    if c.rank(bias) != 1 {
        return Err(misfit(format!("the bias is {}, not a vector", c.ty(bias))));
    }
    let wide = c.b.broadcast(bias, &shape, &[1])?;
    c.b.map("add", &[y, wide])
}

/// The convolution without bias, accumulated and returned in `out`.
pub fn conv_of(c: &mut Ctx, call: &Call, x: ValueId, w: ValueId, out: DType) -> Res<ValueId> {
    let (xs, ws) = (c.shape(x), c.shape(w));
    if xs.len() < 3 || ws.len() != xs.len() {
        return Err(misfit(format!("a convolution of {} with {}", c.ty(x), c.ty(w))));
    }
    let groups = call.int("group", 1)?;
    let n = xs.len() - 2;
    let kernel = kernel_of(c, call, w)?;
    let slide = Sliding::read(call, &xs[2..], kernel)?;
    if n == 2 && c.dtype(x).is_float() && out == c.dtype(x) {
        let (x, pad) = match slide.pads() {
            Some(p) => (x, p),
            None => (slide.padded(c, x, 0.0)?, vec![0; 4]),
        };
        let attrs = [
            ("stride", Attr::Ints(slide.stride)),
            ("pad", Attr::Ints(pad)),
            ("dilation", Attr::Ints(slide.dilation)),
            ("groups", Attr::Int(groups)),
        ];
        return c.op1("nn.conv2d", &[x, w], &attrs);
    }
    let g = Poly::constant(groups.max(0));
    let channels = xs[1].exact_div(&g).filter(|d| groups > 0 && *d == ws[1]);
    let filters = ws[0].exact_div(&g).filter(|_| groups > 0);
    let (Some(channels), Some(filters)) = (channels, filters) else {
        return Err(misfit(format!("{} with {} in {groups} groups", c.ty(x), c.ty(w))));
    };
    let padded = slide.padded(c, x, 0.0)?;
    let ps = c.shape(padded);
    let split: Vec<Poly> =
        [ps[0].clone(), g.clone(), channels.clone()].into_iter().chain(ps[2..].iter().cloned()).collect();
    let split = c.b.reshape(padded, &split)?;
    let windows = slide.windows(c, split)?;
    let by_group: Vec<Poly> = [g, filters, channels].into_iter().chain(ws[2..].iter().cloned()).collect();
    let w = c.b.reshape(w, &by_group)?;
    let (space, taps): (String, String) = ("rstuvwxyz"[..n.min(9)].into(), "RSTUVWXYZ"[..n.min(9)].into());
    let y = c.b.contract(&format!("ngc{space}{taps},gfc{taps}->ngf{space}"), &[windows, w], out)?;
    let ys = c.shape(y);
    let joined: Vec<Poly> = [ys[0].clone(), ws[0].clone()].into_iter().chain(ys[3..].iter().cloned()).collect();
    c.b.reshape(y, &joined)
}

/// ConvTranspose: the input spread by the strides, convolved with the mirrored filters.
pub fn conv_transpose(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (xs, ws) = (c.shape(x), c.static_shape(w, "the filter")?);
    if xs.len() < 3 || ws.len() != xs.len() {
        return Err(misfit(format!("a convolution of {} with {}", c.ty(x), c.ty(w))));
    }
    let n = xs.len() - 2;
    let groups = call.int("group", 1)?;
    if groups < 1 || xs[1] != Poly::constant(ws[0]) || ws[0] % groups != 0 {
        return Err(misfit(format!("{} with {} in {groups} groups", c.ty(x), c.ty(w))));
    }
    let kernel = kernel_of(c, call, w)?;
    let (stride, dilation) = (per_axis(call, "strides", n)?, per_axis(call, "dilations", n)?);
    let extra = call.ints("output_padding")?.unwrap_or_else(|| vec![0; n]);
    let mut pads = call.ints("pads")?.unwrap_or_else(|| vec![0; 2 * n]);
    if pads.len() != 2 * n || extra.len() != n || extra.iter().any(|e| *e < 0) {
        return Err(bad_attribute(format!("`pads` is {pads:?}, `output_padding` {extra:?} for {n} spatial axes")));
    }
    let auto = call.text("auto_pad", "NOTSET")?;
    let wanted = call.ints("output_shape")?;
    if auto == "VALID" {
        pads = vec![0; 2 * n];
    }
    if wanted.is_some() || auto.starts_with("SAME") {
        for i in 0..n {
            let size = xs[2 + i].as_constant().ok_or_else(|| variant("a given output shape with a symbolic input"))?;
            let full = stride[i] * (size - 1) + extra[i] + (kernel[i] - 1) * dilation[i] + 1;
            let goal = match &wanted {
                Some(list) => {
                    let at = if list.len() == n { i } else { i + 2 };
                    *list.get(at).ok_or_else(|| bad_attribute(format!("`output_shape` is {list:?}")))?
                }
                None => size * stride[i],
            };
            let total = full - goal;
            let half = total.div_euclid(2);
            let upper = auto == "SAME_UPPER";
            (pads[i], pads[n + i]) = if upper { (half, total - half) } else { (total - half, half) };
        }
    }
    let zero = c.b.scalar(c.dtype(x), 0.0)?;
    // Border needed around the spread input; where it is negative the result is cut.
    let mut attrs = vec![(vec![Poly::default(); 2], vec![Poly::default(); 2], vec![0i64; 2])];
    let mut cuts = vec![];
    for i in 0..n {
        let reach = (kernel[i] - 1) * dilation[i];
        let (low, high) = (reach - pads[i], reach - pads[n + i] + extra[i]);
        attrs[0].0.push(Poly::constant(low.max(0)));
        attrs[0].1.push(Poly::constant(high.max(0)));
        attrs[0].2.push(stride[i] - 1);
        cuts.push(((-low).max(0), (-high).max(0)));
    }
    let (low, high, interior) = attrs.remove(0);
    let spread = c.op1(
        "core.pad",
        &[x, zero],
        &[("low", Attr::Dims(low)), ("high", Attr::Dims(high)), ("interior", Attr::Ints(interior))],
    )?;
    let mut spread = spread;
    for (i, (low, high)) in cuts.into_iter().enumerate() {
        if low + high > 0 {
            let size = c.shape(spread)[2 + i].clone() - Poly::constant(low + high);
            spread = c.slice_axis(spread, 2 + i, Poly::constant(low), size)?;
        }
    }
    // [c, f / g, k…] -> [f, c / g, k mirrored…].
    let ps = c.shape(spread);
    let (each, filters) = (ws[0] / groups, ws[1]);
    let split: Vec<i64> = [groups, each, filters].into_iter().chain(kernel.clone()).collect();
    let split: Vec<Poly> = split.into_iter().map(Poly::constant).collect();
    let w = c.b.reshape(w, &split)?;
    let (mut start, mut step) = (vec![Poly::default(); 3 + n], vec![1i64; 3 + n]);
    for i in 0..n {
        (start[3 + i], step[3 + i]) = (Poly::constant(kernel[i] - 1), -1);
    }
    let w = c.b.slice(w, &start, &split, &step)?;
    let dtype = c.dtype(x);
    let slide = Sliding { kernel, stride: vec![1; n], dilation, low: vec![], high: vec![] };
    let by_group: Vec<Poly> = [ps[0].clone(), Poly::constant(groups), Poly::constant(each)]
        .into_iter()
        .chain(ps[2..].iter().cloned())
        .collect();
    let x = c.b.reshape(spread, &by_group)?;
    let windows = slide.windows(c, x)?;
    let (space, taps): (String, String) = ("rstuvwxyz"[..n.min(9)].into(), "RSTUVWXYZ"[..n.min(9)].into());
    let y = c.b.contract(&format!("ngc{space}{taps},gcf{taps}->ngf{space}"), &[windows, w], dtype)?;
    let ys = c.shape(y);
    let joined: Vec<Poly> =
        [ys[0].clone(), Poly::constant(groups * filters)].into_iter().chain(ys[3..].iter().cloned()).collect();
    let y = c.b.reshape(y, &joined)?;
    Ok(vec![match call.maybe(2) {
        Some(bias) => add_channel(c, y, bias)?,
        None => y,
    }])
}
