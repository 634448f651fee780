//! Planes to the screen through OpenGL: the one place of the console with `unsafe`.
//!
//! Each tile has two or three textures, written only when a new picture is there; one shader turns them into colours
//! and cuts out the part to show. Runs inside egui's paint callback, on the window's thread, with egui's context
//! current; egui sets viewport and scissor before and restores its own state after. Textures cannot be freed
//! outside such a callback, so a closed tile's go on a list that the next callback empties.
#![expect(unsafe_code, reason = "OpenGL is a C interface; each block says why it is sound")]

use super::{
    PlayerId,
    frame::{Colour, Frame, Layout, Plane},
};
use eframe::{
    egui_glow::ShaderVersion,
    glow::{self, HasContext as _},
};
use std::collections::HashMap;

/// What can go wrong; shown in diagnostics, the tile then says "no picture".
#[derive(Debug, thiserror::Error)]
pub(super) enum GlError {
    /// The driver refused an object or a shader.
    #[error("OpenGL: {0}")]
    Driver(String),
    /// The decoder's buffer is shorter than its caps say.
    #[error("a decoded picture is shorter than its description")]
    ShortPicture,
}

/// Programs, square, and the textures of every tile.
pub(super) struct Renderer {
    /// For three planes and for two: a branch in one shader would be taken both ways by software rasterisers.
    shaders: [Shader; 2],
    square: glow::Buffer,
    /// Old contexts (OpenGL 2.1, ES 2) have none; the attribute is then set for each draw.
    array: Option<glow::VertexArray>,
    /// One- and two-channel 8-bit textures: (internal format, format) each.
    formats: [(u32, u32); 2],
    /// OpenGL ES 2 cannot skip a row's padding.
    strides: bool,
    tiles: HashMap<PlayerId, Tile>,
    unused: Vec<glow::Texture>,
}

struct Shader {
    program: glow::Program,
    uv: Option<glow::UniformLocation>,
    offset: Option<glow::UniformLocation>,
    rows: [Option<glow::UniformLocation>; 3],
}

struct Tile {
    textures: Vec<glow::Texture>,
    size: (u32, u32),
    layout: Layout,
    colour: Colour,
    /// How chroma is read: smoothed, or the nearest sample.
    chroma: u32,
}

/// Where the square's corners go in; fixed so that the array can be made before the program is known.
const CORNER: u32 = 0;

const VERTEX: &str = r"
uniform vec4 u_uv;
IN vec2 a_corner;
OUT vec2 v_uv;
void main() {
    v_uv = mix(u_uv.xy, u_uv.zw, a_corner);
    gl_Position = vec4(a_corner.x * 2.0 - 1.0, 1.0 - a_corner.y * 2.0, 0.0, 1.0);
}
";

const FRAGMENT: &str = r"
uniform sampler2D u_first;
uniform sampler2D u_second;
uniform sampler2D u_third;
uniform vec3 u_offset;
uniform vec3 u_red;
uniform vec3 u_green;
uniform vec3 u_blue;
IN vec2 v_uv;
void main() {
    vec3 ycc;
    ycc.x = TEXTURE(u_first, v_uv).r;
#ifdef TWO_PLANES
    ycc.yz = TEXTURE(u_second, v_uv).PAIR;
#else
    ycc.y = TEXTURE(u_second, v_uv).r;
    ycc.z = TEXTURE(u_third, v_uv).r;
#endif
    ycc -= u_offset;
    COLOUR = vec4(dot(u_red, ycc), dot(u_green, ycc), dot(u_blue, ycc), 1.0);
}
";

/// The dialect of this driver, in front of the one text.
fn shader_text(version: ShaderVersion, layout: Layout, vertex: bool) -> String {
    let new = version.is_new_shader_interface();
    let mut head = version.version_declaration().to_owned();
    if version.is_embedded() {
        head.push_str("precision highp float;\n");
    }
    head.push_str(match (new, vertex) {
        (true, true) => "#define IN in\n#define OUT out\n",
        (true, false) => "#define IN in\n#define TEXTURE texture\n#define PAIR rg\nout vec4 f_colour;\n#define COLOUR f_colour\n",
        (false, true) => "#define IN attribute\n#define OUT varying\n",
        (false, false) => "#define IN varying\n#define TEXTURE texture2D\n#define PAIR ra\n#define COLOUR gl_FragColor\n",
    });
    if layout == Layout::Nv12 {
        head.push_str("#define TWO_PLANES\n");
    }
    head.push_str(if vertex { VERTEX } else { FRAGMENT });
    head
}

impl Renderer {
    /// Compiles the shaders and makes the square. Needs the context to be current, as it is while eframe starts and in
    /// paint callbacks.
    pub(super) fn new(gl: &glow::Context) -> Result<Self, GlError> {
        let version = ShaderVersion::get(gl);
        let new = version.is_new_shader_interface();
        // SAFETY: the context is current on this thread (see above); every object passed on was made by it here.
        unsafe {
            let shaders = [link(gl, version, Layout::I420)?, link(gl, version, Layout::Nv12)?];
            let square = gl.create_buffer().map_err(GlError::Driver)?;
            gl.bind_buffer(glow::ARRAY_BUFFER, Some(square));
            let corners = [0_f32, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0].map(f32::to_ne_bytes).concat();
            gl.buffer_data_u8_slice(glow::ARRAY_BUFFER, &corners, glow::STATIC_DRAW);
            let array = if new { Some(gl.create_vertex_array().map_err(GlError::Driver)?) } else { None };
            if array.is_some() {
                gl.bind_vertex_array(array);
                point_at_corners(gl);
                gl.bind_vertex_array(None);
            }
            gl.bind_buffer(glow::ARRAY_BUFFER, None);
            Ok(Self {
                shaders,
                square,
                array,
                formats: if new {
                    [(glow::R8, glow::RED), (glow::RG8, glow::RG)]
                } else {
                    [(glow::LUMINANCE, glow::LUMINANCE), (glow::LUMINANCE_ALPHA, glow::LUMINANCE_ALPHA)]
                },
                strides: version != ShaderVersion::Es100,
                tiles: HashMap::new(),
                unused: Vec::new(),
            })
        }
    }

    /// Takes a new picture for this tile into its textures. Only inside a paint callback.
    pub(super) fn upload(&mut self, gl: &glow::Context, id: PlayerId, frame: &Frame) -> Result<(), GlError> {
        let planes = frame.planes().ok_or(GlError::ShortPicture)?;
        let (size, layout) = (frame.size(), frame.layout);
        self.free_unused(gl);
        if self.tiles.get(&id).is_some_and(|tile| tile.size != size || tile.layout != layout) {
            self.forget(id);
        }
        let fresh = !self.tiles.contains_key(&id);
        if fresh {
            let tile =
                Tile { textures: Vec::new(), size, layout, colour: frame.colour, chroma: glow::LINEAR };
            let tile = self.tiles.entry(id).or_insert(tile);
            for _ in &planes {
                // SAFETY: the context is current: callers are paint callbacks.
                tile.textures.push(unsafe { gl.create_texture() }.map_err(GlError::Driver)?);
            }
        }
        let Some(tile) = self.tiles.get_mut(&id) else { return Ok(()) };
        tile.colour = frame.colour;
        for (texture, plane) in tile.textures.iter().zip(&planes) {
            let (internal, format) = self.formats[plane.sample - 1];
            // SAFETY: the context is current and the texture is one of its own.
            unsafe {
                gl.active_texture(glow::TEXTURE0);
                gl.bind_texture(glow::TEXTURE_2D, Some(*texture));
                if fresh {
                    for (name, value) in [
                        (glow::TEXTURE_MIN_FILTER, glow::LINEAR),
                        (glow::TEXTURE_MAG_FILTER, glow::LINEAR),
                        (glow::TEXTURE_WRAP_S, glow::CLAMP_TO_EDGE),
                        (glow::TEXTURE_WRAP_T, glow::CLAMP_TO_EDGE),
                    ] {
                        gl.tex_parameter_i32(glow::TEXTURE_2D, name, value as i32);
                    }
                    gl.tex_image_2d(
                        glow::TEXTURE_2D,
                        0,
                        internal as i32,
                        plane.width as i32,
                        plane.height as i32,
                        0,
                        format,
                        glow::UNSIGNED_BYTE,
                        glow::PixelUnpackData::Slice(None),
                    );
                }
            }
            write_plane(gl, plane, format, self.strides);
        }
        Ok(())
    }

    /// Draws the part `uv` (left, top, right, bottom; 0..1) of this tile's picture over the viewport. Nothing happens
    /// if there is none. `width` is the rectangle's, in physical pixels. Only inside a paint callback.
    pub(super) fn draw(&mut self, gl: &glow::Context, id: PlayerId, uv: [f32; 4], width: i32) {
        self.free_unused(gl);
        let Some(tile) = self.tiles.get_mut(&id) else { return };
        // Where a picture is drawn smaller than it is, the eye sees luma's smoothing and not chroma's, and a software
        // rasteriser pays for each. One filter for both directions: two would make it work out which, for every pixel.
        let smaller = (width as f32) < tile.size.0 as f32 * (uv[2] - uv[0]).abs();
        let chroma = if smaller { glow::NEAREST } else { glow::LINEAR };
        let changed = std::mem::replace(&mut tile.chroma, chroma) != chroma;
        let shader = &self.shaders[usize::from(tile.layout == Layout::Nv12)];
        // SAFETY: the context is current; programs, buffer, array and textures are its own and alive (they are only
        // freed by `free_unused` after leaving `tiles`, and by `destroy`).
        unsafe {
            gl.disable(glow::BLEND);
            gl.use_program(Some(shader.program));
            gl.uniform_4_f32(shader.uv.as_ref(), uv[0], uv[1], uv[2], uv[3]);
            let [black, blue, red] = tile.colour.offset;
            gl.uniform_3_f32(shader.offset.as_ref(), black, blue, red);
            for (place, [luma, cb, cr]) in shader.rows.iter().zip(tile.colour.rows) {
                gl.uniform_3_f32(place.as_ref(), luma, cb, cr);
            }
            for (unit, texture) in (0..).zip(&tile.textures) {
                gl.active_texture(glow::TEXTURE0 + unit);
                gl.bind_texture(glow::TEXTURE_2D, Some(*texture));
                if changed && unit > 0 {
                    gl.tex_parameter_i32(glow::TEXTURE_2D, glow::TEXTURE_MIN_FILTER, chroma as i32);
                    gl.tex_parameter_i32(glow::TEXTURE_2D, glow::TEXTURE_MAG_FILTER, chroma as i32);
                }
            }
            if self.array.is_some() {
                gl.bind_vertex_array(self.array);
            } else {
                gl.bind_buffer(glow::ARRAY_BUFFER, Some(self.square));
                point_at_corners(gl);
            }
            gl.draw_arrays(glow::TRIANGLE_STRIP, 0, 4);
            if self.array.is_some() {
                gl.bind_vertex_array(None);
            } else {
                gl.disable_vertex_attrib_array(CORNER);
                gl.bind_buffer(glow::ARRAY_BUFFER, None);
            }
            // egui binds to unit 0 and takes it for active.
            gl.active_texture(glow::TEXTURE0);
            gl.enable(glow::BLEND);
        }
    }

    /// The tile is gone; its textures follow with the next callback. No context needed.
    pub(super) fn forget(&mut self, id: PlayerId) {
        if let Some(tile) = self.tiles.remove(&id) {
            self.unused.extend(tile.textures);
        }
    }

    /// Frees everything; the renderer draws nothing afterwards. From `App::on_exit`, with the context current.
    pub(super) fn destroy(&mut self, gl: &glow::Context) {
        self.unused.extend(self.tiles.drain().flat_map(|(_, tile)| tile.textures));
        self.free_unused(gl);
        // SAFETY: the context is current in `on_exit`; deleting an object twice is a no-op in OpenGL.
        unsafe {
            for shader in &self.shaders {
                gl.delete_program(shader.program);
            }
            gl.delete_buffer(self.square);
            if let Some(array) = self.array.take() {
                gl.delete_vertex_array(array);
            }
        }
    }

    fn free_unused(&mut self, gl: &glow::Context) {
        for texture in self.unused.drain(..) {
            // SAFETY: the context is current; no tile holds a texture of this list.
            unsafe { gl.delete_texture(texture) };
        }
    }
}

/// Copies a plane into the bound texture.
fn write_plane(gl: &glow::Context, plane: &Plane<'_>, format: u32, strides: bool) {
    let put = |top: usize, rows: usize, data: &[u8]| {
        // SAFETY: the context is current and a texture of the plane's size is bound. OpenGL reads `stride` bytes for
        // each row but the last and `width * sample` for that one; `Plane::new` and `Plane::row` grant that many.
        unsafe {
            gl.tex_sub_image_2d(
                glow::TEXTURE_2D,
                0,
                0,
                top as i32,
                plane.width as i32,
                rows as i32,
                format,
                glow::UNSIGNED_BYTE,
                glow::PixelUnpackData::Slice(Some(data)),
            );
        }
    };
    // SAFETY: plain state of the current context, put back below: a row length left behind would break egui's own
    // uploads.
    unsafe { gl.pixel_store_i32(glow::UNPACK_ALIGNMENT, 1) };
    if strides && plane.stride.is_multiple_of(plane.sample) {
        // SAFETY: as above.
        unsafe { gl.pixel_store_i32(glow::UNPACK_ROW_LENGTH, (plane.stride / plane.sample) as i32) };
        put(0, plane.height, plane.data);
        // SAFETY: as above.
        unsafe { gl.pixel_store_i32(glow::UNPACK_ROW_LENGTH, 0) };
    } else if plane.stride == plane.width * plane.sample {
        put(0, plane.height, plane.data);
    } else {
        for y in 0..plane.height {
            let row = plane.row(y);
            if !row.is_empty() {
                put(y, 1, row);
            }
        }
    }
    // SAFETY: as above; 4 is OpenGL's own default.
    unsafe { gl.pixel_store_i32(glow::UNPACK_ALIGNMENT, 4) };
}

/// The bound buffer holds pairs of `f32`.
///
/// # Safety
/// The context must be current and the square's buffer bound.
unsafe fn point_at_corners(gl: &glow::Context) {
    // SAFETY: granted by the caller; four vertices of two floats lie in the buffer.
    unsafe {
        gl.enable_vertex_attrib_array(CORNER);
        gl.vertex_attrib_pointer_f32(CORNER, 2, glow::FLOAT, false, 0, 0);
    }
}

/// # Safety
/// The context must be current.
unsafe fn link(gl: &glow::Context, version: ShaderVersion, layout: Layout) -> Result<Shader, GlError> {
    // SAFETY: granted by the caller; shaders and program are made here.
    unsafe {
        let program = gl.create_program().map_err(GlError::Driver)?;
        let mut shaders = Vec::new();
        for (kind, vertex) in [(glow::VERTEX_SHADER, true), (glow::FRAGMENT_SHADER, false)] {
            let shader = gl.create_shader(kind).map_err(GlError::Driver)?;
            gl.shader_source(shader, &shader_text(version, layout, vertex));
            gl.compile_shader(shader);
            if !gl.get_shader_compile_status(shader) {
                return Err(GlError::Driver(gl.get_shader_info_log(shader)));
            }
            gl.attach_shader(program, shader);
            shaders.push(shader);
        }
        gl.bind_attrib_location(program, CORNER, "a_corner");
        gl.link_program(program);
        if !gl.get_program_link_status(program) {
            return Err(GlError::Driver(gl.get_program_info_log(program)));
        }
        for shader in shaders {
            gl.detach_shader(program, shader);
            gl.delete_shader(shader);
        }
        gl.use_program(Some(program));
        for (unit, name) in (0_i32..).zip(["u_first", "u_second", "u_third"]) {
            gl.uniform_1_i32(gl.get_uniform_location(program, name).as_ref(), unit);
        }
        gl.use_program(None);
        let at = |name: &str| gl.get_uniform_location(program, name);
        Ok(Shader {
            program,
            uv: at("u_uv"),
            offset: at("u_offset"),
            rows: [at("u_red"), at("u_green"), at("u_blue")],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_resolves_every_word() {
        for version in
            [ShaderVersion::Gl120, ShaderVersion::Gl140, ShaderVersion::Es100, ShaderVersion::Es300]
        {
            for vertex in [true, false] {
                let text = shader_text(version, Layout::Nv12, vertex);
                assert!(text.starts_with("#version"), "the version must come first");
                let words: &[&str] =
                    if vertex { &["IN", "OUT"] } else { &["IN", "TEXTURE", "PAIR", "COLOUR"] };
                for word in words {
                    assert!(text.contains(&format!("#define {word} ")), "{word} in {version:?}");
                }
            }
        }
    }
}
